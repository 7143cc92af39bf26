// The npm package `onvif`, unchanged, reads what one device is set to. It writes nothing.
//
// node onvif_settings_read.js '{"port", "password"}'
// out: one line, {"encoders", "imaging", "ntp", "clock", "hostname", "users", "osds"} or {"error"}
const { Cam } = require('onvif');

const config = JSON.parse(process.argv[2]);
const say = (what, code) => {
    console.log(JSON.stringify(what));
    process.exit(code);
};
const ask = (cam, method) => new Promise((resolve, reject) => {
    cam[method]((error, answer) => (error ? reject(error) : resolve(answer)));
});

const cam = new Cam({
    hostname: '127.0.0.1',
    port: config.port,
    username: 'admin',
    password: config.password,
    useWSSecurity: true,
    timeout: 10000,
}, async (error) => {
    if (error) {
        say({ error: String(error.message || error) }, 1);
        return;
    }
    try {
        say({
            encoders: [].concat(await ask(cam, 'getVideoEncoderConfigurations')),
            imaging: await ask(cam, 'getImagingSettings'),
            ntp: await ask(cam, 'getNTP'),
            hostname: await ask(cam, 'getHostname'),
            users: [].concat(await ask(cam, 'getUsers')),
            osds: await ask(cam, 'getOSDs'),
        }, 0);
    } catch (problem) {
        say({ error: String(problem && problem.message || problem) }, 1);
    }
});
