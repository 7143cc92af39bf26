// The npm package `onvif`, unchanged, configures one device (if it is told what to write) and reads what is set.
//
// node onvif_settings.js '{"port", "password", "write": {"width", "height", "brightness", "osd": {...}}}'
// out: one line, {"encoders", "imaging", "ntp", "hostname", "users", "osds"} or {"error"}
const { Cam } = require('onvif');

const config = JSON.parse(process.argv[2]);
const say = (what, code) => {
    console.log(JSON.stringify(what));
    process.exit(code);
};
const ask = (cam, method, ...args) => new Promise((resolve, reject) => {
    cam[method](...args, (error, answer) => (error ? reject(error) : resolve(answer)));
});

const configure = async (cam, values) => {
    const [first] = [].concat(await ask(cam, 'getVideoEncoderConfigurations'));
    // It reads Media1's H264Profile under that name, and writes it from another.
    const wanted = {
        ...first,
        token: first.$.token,
        resolution: { width: values.width, height: values.height },
        H264: first.H264 && { ...first.H264, profile: first.H264.H264Profile },
        $: { ...first.$, token: first.$.token },
    };
    await ask(cam, 'setVideoEncoderConfiguration', wanted);
    await ask(cam, 'setImagingSettings', { brightness: values.brightness });
    await ask(cam, 'setNTP', { fromDHCP: false, type: 'DNS', dnsName: 'time.example.org' });
    await ask(cam, 'setSystemDateAndTime', { dateTimeType: 'NTP', timezone: 'CET-1CEST,M3.5.0,M10.5.0/3' });
    await ask(cam, 'createUsers', [{ username: 'anna', password: 'Secret-word1', userLevel: 'Operator' }]);
    await ask(cam, 'createOSD', values.osd);
};

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
        if (config.write) {
            await configure(cam, config.write);
        }
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
