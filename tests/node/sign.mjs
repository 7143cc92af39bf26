// Pusher's own server library as the judge of our signatures.
//
// in:  one line, {"key", "secret", "requests": [{"method", "path", "body"}], "channels": [{"socket_id", "channel"}]}
// out: one line, {"queries": [STRING, ...], "auths": [STRING, ...]}; its clock stands at "now" seconds
import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';

const Pusher = createRequire(import.meta.url)('pusher');
const { key, secret, now, requests, channels } = JSON.parse(readFileSync(0, 'utf8'));
Date.now = () => now * 1000;
const pusher = new Pusher({ appId: '3', key, secret, host: 'localhost' });
console.log(
    JSON.stringify({
        queries: requests.map(({ method, path, body }) => pusher.createSignedQueryString({ method, path, body })),
        auths: channels.map(({ socket_id, channel }) => pusher.authorizeChannel(socket_id, channel).auth),
    }),
);
