// The page shows what the API tells, every two seconds. The token comes in the URL's fragment (which no server
// sees) or from the form, and stays in this tab.

const EVERY = 2000;
const KEPT = 200;
const byId = (id) => document.getElementById(id);

let token = sessionStorage.getItem("token") ?? "";
const given = new URLSearchParams(location.hash.slice(1)).get("token");
if (given) {
  token = given;
  sessionStorage.setItem("token", token);
  history.replaceState(null, "", location.pathname);
}

let devices = [];
let lastPush = 0;

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

async function get(path) {
  const answer = await fetch(path, { headers: { Authorization: `Bearer ${token}` }, signal: AbortSignal.timeout(5000) });
  if (answer.status === 401 || answer.status === 403) throw new Error("login");
  if (!answer.ok) throw new Error(`the bridge answers ${answer.status}`);
  return answer.json();
}

const time = (seconds) => (seconds ? new Date(seconds * 1000).toLocaleTimeString([], { hour12: false }) : "");
const badge = (status) => element("span", { className: `badge ${status}`, textContent: status });

function row(device, channel) {
  const why = device.problem?.detail ?? channel.streams.find((stream) => stream.up === false)?.detail ?? "";
  return element(
    "tr",
    {},
    element("td", {}, badge(channel.status)),
    element("td", {}, channel.name || device.name || device.id, element("div", { className: "quiet", textContent: device.id })),
    element("td", { textContent: device.address }),
    element("td", { textContent: [device.manufacturer, device.model].filter(Boolean).join(" ") }),
    element("td", { textContent: time(channel.since) }),
    element("td", { textContent: why }),
  );
}

function showDevices() {
  const wanted = byId("filter").value.trim().toLowerCase();
  const rows = devices
    .flatMap((device) => device.channels.map((channel) => row(device, channel)))
    .filter((one) => one.textContent.toLowerCase().includes(wanted));
  byId("devices").replaceChildren(...rows);
  const count = {};
  for (const device of devices) for (const channel of device.channels) count[channel.status] = (count[channel.status] ?? 0) + 1;
  byId("summary").textContent = Object.entries(count).map(([status, number]) => `${number} ${status}`).join(" · ") || "no devices";
}

function said(push) {
  const { data } = JSON.parse(push.body);
  const what = data?.data?.camera ?? data?.data ?? {};
  return element(
    "li",
    { className: "fresh" },
    element("span", { className: "quiet", textContent: `${time(push.at)} ` }),
    `${push.type} · ${what.name ?? what.id ?? push.channel} `,
    ...(what.status ? [badge(what.status)] : []),
  );
}

async function refresh() {
  try {
    const [told, pushed] = await Promise.all([get("/api/v1/devices"), get(`/api/v1/pushes?after=${lastPush}`)]);
    devices = told.devices;
    showDevices();
    for (const push of pushed.pushes) {
      lastPush = push.seq;
      byId("pushes").prepend(said(push));
    }
    while (byId("pushes").children.length > KEPT) byId("pushes").lastChild.remove();
    byId("login").hidden = true;
  } catch (error) {
    byId("login").hidden = error.message !== "login";
    byId("summary").textContent = error.message === "login" ? "a token is needed" : `no answer: ${error.message}`;
  }
  setTimeout(refresh, EVERY);
}

byId("filter").addEventListener("input", showDevices);
byId("login").addEventListener("submit", (event) => {
  event.preventDefault();
  token = new FormData(event.target).get("token").trim();
  sessionStorage.setItem("token", token);
});
refresh();
