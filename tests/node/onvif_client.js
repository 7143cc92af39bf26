// The npm package `onvif`, unchanged, against one device.
//
// node onvif_client.js '{"port", "password", "digest": BOOLEAN}'
// out: {"is": "connected", ...} | {"is": "event", "topic", "data"} | {"is": "failed", "error"} | {"is": "done"}
// It connects, asks the usual things, listens, and unsubscribes after the first change of MotionAlarm.
const { Cam } = require('onvif');

const config = JSON.parse(process.argv[2]);
const say = (is, rest) => console.log(JSON.stringify({ is, ...rest }));
const fail = (error) => {
    say('failed', { error: String(error && error.message || error) });
    process.exit(1);
};
const ask = (cam, method, ...args) => new Promise((resolve, reject) => {
    cam[method](...args, (error, answer) => (error ? reject(error) : resolve(answer)));
});

const cam = new Cam({
    hostname: '127.0.0.1',
    port: config.port,
    username: 'admin',
    password: config.password,
    useWSSecurity: !config.digest,
    timeout: 10000,
}, async (error) => {
    if (error) {
        fail(error);
        return;
    }
    try {
        const information = await ask(cam, 'getDeviceInformation');
        const scopes = await ask(cam, 'getScopes');
        const stream = await ask(cam, 'getStreamUri', { protocol: 'RTSP', profileToken: cam.profiles[0].$.token });
        const snapshot = await ask(cam, 'getSnapshotUri', { profileToken: cam.profiles[0].$.token });
        const date = await ask(cam, 'getSystemDateAndTime');
        const users = await ask(cam, 'getUsers');
        const properties = await ask(cam, 'getEventProperties');
        listen();
        say('connected', {
            information,
            scopes: [].concat(scopes),
            stream: stream.uri,
            snapshot: snapshot.uri,
            date,
            users,
            topics: Object.keys(properties.topicSet),
            profiles: cam.profiles.map((profile) => profile.$.token),
            sources: cam.videoSources,
        });
    } catch (problem) {
        fail(problem);
    }
});

function listen() {
    cam.on('event', (message) => {
        const content = message.message.message;
        const items = [].concat(content.data && content.data.simpleItem || []);
        say('event', {
            topic: message.topic._,
            operation: content.$.PropertyOperation,
            data: Object.fromEntries(items.map((item) => [item.$.Name, item.$.Value])),
        });
        if (message.topic._.endsWith('MotionAlarm') && content.$.PropertyOperation === 'Changed') {
            cam.removeAllListeners('event');
            cam.unsubscribe((error) => {
                if (error) {
                    fail(error);
                }
                say('done', {});
                process.exit(0);
            });
        }
    });
}
