-- What a token may do in the API ('read', 'write', or what its channels imply), which user of the VMS its bearer is,
-- and when it ends by itself.
ALTER TABLE token ADD COLUMN api TEXT;
ALTER TABLE token ADD COLUMN user_id INTEGER;
ALTER TABLE token ADD COLUMN expires_at REAL;
