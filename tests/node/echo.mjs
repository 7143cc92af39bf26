// Laravel Echo over pusher-js, unchanged, driven by lines of JSON.
//
// node echo.mjs '{"echo": PACKAGE, "pusher": PACKAGE, "host", "port", "path", "key", "auth", "token"}'
// in:  {"private": NAME, "listen": [EVENT, ...]} | {"leave": NAME}
// out: {"is": "state", "state"} | {"is": "subscribed", "channel"} | {"is": "refused", "channel", "status"}
//      | {"is": "push", "channel", "listen", "body"} | {"is": "error", "code"}; each with "at" in milliseconds
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';

const require = createRequire(import.meta.url);
const config = JSON.parse(process.argv[2]);
// laravel-echo 2 is for import only, 1 for require only.
const echo = config.echo === 'laravel-echo' ? await import('laravel-echo') : require(config.echo);
const Echo = echo.default;
const Pusher = require(config.pusher);

const say = (is, rest) => console.log(JSON.stringify({ is, at: performance.now(), ...rest }));

const client = new Echo({
    broadcaster: 'pusher',
    Pusher,
    key: config.key,
    cluster: 'none',
    wsHost: config.host,
    wsPort: config.port,
    wsPath: config.path,
    forceTLS: false,
    enabledTransports: ['ws'],
    disableStats: true,
    authEndpoint: config.auth,
    bearerToken: config.token,
});
const connection = client.connector.pusher.connection;
connection.bind('state_change', ({ current }) => say('state', { state: current }));
connection.bind('error', (event) => say('error', { code: event?.data?.code ?? event?.error?.data?.code ?? null }));

for await (const line of createInterface({ input: process.stdin })) {
    const command = JSON.parse(line);
    if (command.leave) {
        client.leave(command.leave);
        continue;
    }
    const channel = client.private(command.private);
    channel.subscribed(() => say('subscribed', { channel: channel.name }));
    channel.error((error) => say('refused', { channel: channel.name, status: error.status }));
    for (const listen of command.listen)
        channel.listen(listen, (body) => say('push', { channel: channel.name, listen, body }));
}
process.exit(0);
