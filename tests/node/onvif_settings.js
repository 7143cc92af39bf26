// The npm package `onvif`, unchanged, configures one device and reads back what it wrote.
//
// node onvif_settings.js '{"port", "password", "width", "height", "brightness", "osd": {...}}'
// out: one line, {"encoder", "imaging", "ntp", "users", "osds"} or {"error"}
const { Cam } = require('onvif');

const config = JSON.parse(process.argv[2]);
const say = (what, code) => {
    console.log(JSON.stringify(what));
    process.exit(code);
};
const ask = (cam, method, ...args) => new Promise((resolve, reject) => {
    cam[method](...args, (error, answer) => (error ? reject(error) : resolve(answer)));
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
        const [first] = [].concat(await ask(cam, 'getVideoEncoderConfigurations'));
        // It reads Media1's H264Profile under that name, and writes it from another.
        const wanted = {
            ...first,
            token: first.$.token,
            resolution: { width: config.width, height: config.height },
            H264: first.H264 && { ...first.H264, profile: first.H264.H264Profile },
            $: { ...first.$, token: first.$.token },
        };
        await ask(cam, 'setVideoEncoderConfiguration', wanted);
        await ask(cam, 'setImagingSettings', { brightness: config.brightness });
        await ask(cam, 'setNTP', { fromDHCP: false, type: 'DNS', dnsName: 'time.example.org' });
        await ask(cam, 'setSystemDateAndTime', { dateTimeType: 'NTP', timezone: 'CET-1CEST,M3.5.0,M10.5.0/3' });
        await ask(cam, 'createUsers', [{ username: 'anna', password: 'Secret-word1', userLevel: 'Operator' }]);
        await ask(cam, 'createOSD', config.osd);
        say({
            encoder: [].concat(await ask(cam, 'getVideoEncoderConfigurations'))[0],
            imaging: await ask(cam, 'getImagingSettings'),
            ntp: await ask(cam, 'getNTP'),
            users: await ask(cam, 'getUsers'),
            osds: await ask(cam, 'getOSDs'),
        }, 0);
    } catch (problem) {
        say({ error: String(problem && problem.message || problem) }, 1);
    }
});
