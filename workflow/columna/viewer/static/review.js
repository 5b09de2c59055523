"use strict";
// The page of a scan: the viewer, the rating by keys, the levels. Text stays text: nothing is ever
// parsed as HTML.

const get = (id) => document.getElementById(id);
const content = JSON.parse(get("content").textContent);
const here = `/review/scan/${encodeURIComponent(content.scan)}`;
const VALUES = { g: "good", u: "usable", b: "bad" };

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false) made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined).map((child) => (child instanceof Node ? child : String(child))));
  return made;
}

function button(text, act, attributes = {}) {
  const made = element("button", { type: "button", ...attributes }, text);
  made.addEventListener("click", act);
  return made;
}

// --- decisions: each is sent at once, one after the other ---

let state = content.state;
let waiting = Promise.resolve();
let saved = 0;

function send(decision, keepalive = false) {
  return fetch(`${here}/decisions`, {
    method: "POST", keepalive, headers: { "Content-Type": "application/json" }, body: JSON.stringify(decision),
  });
}

function decide(makeDecision) {
  waiting = waiting.then(async () => {
    const decision = makeDecision();
    if (!decision) return;
    const answer = await send(decision);
    if (!answer.ok) throw new Error(await answer.text());
    state = await answer.json();
    get("message").textContent = "";
    show();
    saved += 1;
    document.body.dataset.saved = saved;
  }).catch((error) => {
    get("message").textContent = error instanceof TypeError ? "Not saved: the server does not answer. Is `columna review` running?" : error.message;
  });
  return waiting;
}

// --- rating ---

const rows = [...document.querySelectorAll("#ratings tbody tr")];
const domains = rows.map((row) => row.dataset.domain);
let chosen = 0;

const own = (domain) => state.ratings.find((rating) => rating.domain === domain && rating.rater === content.rater);
const row = (domain) => rows[domains.indexOf(domain)];

function rate(domain, value) {
  const before = () => own(domain);
  decide(() => ({ decision: "rate", domain, value, reason: value === before()?.value ? before().reason : "", comment: row(domain).querySelector(".comment").value }));
}

function detail(domain) {
  decide(() => {
    const rating = own(domain);
    const reason = row(domain).querySelector(".reason").value;
    const comment = row(domain).querySelector(".comment").value;
    if (!rating) {
      get("message").textContent = `Rate ${domain} as well: a reason and a comment belong to a rating.`;
      return null;
    }
    return rating.reason === reason && rating.comment === comment ? null : { decision: "rate", domain, value: rating.value, reason, comment };
  });
}

function choose(place) {
  chosen = Math.min(Math.max(place, 0), rows.length - 1);
  rows.forEach((one, i) => one.classList.toggle("chosen", i === chosen));
}

function rateChosen(value) {
  rate(domains[chosen], value);
  choose(chosen + 1);
}

function rateRest() {
  for (const domain of domains) {
    decide(() => (own(domain) ? null : { decision: "rate", domain, value: "good", comment: row(domain).querySelector(".comment").value }));
  }
}

function showRatings() {
  for (const one of rows) {
    const rating = own(one.dataset.domain);
    for (const made of one.querySelectorAll(".values button")) made.setAttribute("aria-pressed", String(made.dataset.value === rating?.value));
    const reason = one.querySelector(".reason");
    const comment = one.querySelector(".comment");
    if (rating?.reason && ![...reason.options].some((option) => option.value === rating.reason)) reason.append(element("option", { value: rating.reason }, rating.reason));
    reason.value = rating?.reason ?? "";
    if (rating && document.activeElement !== comment) comment.value = rating.comment;
    const others = state.ratings.filter((found) => found.domain === one.dataset.domain && found.rater !== content.rater);
    one.querySelector(".others").textContent = others.map((found) => [found.rater, ": ", found.value, found.comment && ` (${found.comment})`].join("")).join("; ");
  }
}

// A comment that was not left yet is sent when the page is closed.
function sendUnsent() {
  for (const domain of domains) {
    const rating = own(domain);
    const comment = row(domain).querySelector(".comment").value;
    if (rating && comment !== rating.comment) send({ decision: "rate", domain, value: rating.value, reason: rating.reason, comment }, true);
  }
}

// --- levels ---

const signed = (steps) => (steps > 0 ? `+${steps}` : String(steps));

function shift(by) {
  decide(() => (state.shift + by === 0 ? { decision: "clear" } : { decision: "shift", value: signed(state.shift + by) }));
}

function nameVertebra(position, value) {
  const vertebra = String(position);
  if (value === "as found") decide(() => ({ decision: "clear", vertebra }));
  else if (value === "false") decide(() => ({ decision: "false", vertebra }));
  else decide(() => ({ decision: "name", vertebra, value }));
}

const nowText = (found) => (found.is_false ? "no vertebra" : found.now ?? "without a name");

function levelRow(found, place) {
  const select = element("select", { "aria-label": `Vertebra ${place + 1} by hand` },
    ...[["as found", "as found"], ["false", "no vertebra"], ...content.levels.map((name) => [name, name])].map(([value, text]) => element("option", { value }, text)));
  select.disabled = found.position === null;
  if (found.is_false) select.value = "false";
  else select.value = found.by ? found.now : "as found";
  select.addEventListener("change", () => nameVertebra(found.position, select.value));
  const number = found.centre && viewer ? button(place + 1, () => goTo(found.centre), { "aria-label": `Show vertebra ${place + 1}` }) : place + 1;
  return element("tr", { class: [found.is_false && "false", found.now !== found.level && "changed"].filter(Boolean).join(" ") },
    element("td", {}, number),
    element("td", {}, found.level ?? (found.is_piece ? "piece" : "–")),
    element("td", { class: "number" }, found.p === null ? "" : found.p.toFixed(2)),
    element("td", {}, found.second ?? ""),
    element("td", { class: "now" }, nowText(found)),
    element("td", {}, select));
}

function showLevels() {
  const body = document.querySelector("#levels tbody");
  const focused = [...body.querySelectorAll("select")].indexOf(document.activeElement);
  body.replaceChildren(...state.vertebrae.map(levelRow));
  body.querySelectorAll("select")[focused]?.focus();
  get("problem").textContent = state.problem ? `This cannot hold yet: ${state.problem}.` : "";
  const told = [state.shift && `all names are moved by ${signed(state.shift)}`, state.isPending && "not in the tables yet: run snakemake", state.isEdited && "names of vertebrae that were added in an edited mask are their numbers there"];
  get("shift").textContent = told.filter(Boolean).join("; ");
}

// --- the scan, the list of decisions ---

function exclude() {
  decide(() => ({ decision: state.excluded ? "include" : "exclude", comment: get("exclude-comment").value }));
}

function said(decision) {
  const about = { rate: decision.domain, name: `vertebra ${decision.vertebra}:`, false: `vertebra ${decision.vertebra} is no vertebra` }[decision.decision] ?? decision.decision;
  return [`${decision.decided_at} ${decision.rater}:`, about, decision.value, decision.reason, decision.comment && `“${decision.comment}”`].filter(Boolean).join(" ");
}

function showHistory() {
  get("history").replaceChildren(...state.history.slice().reverse().map((decision) => {
    const isOwn = decision.rater === content.rater && !decision.undone;
    const back = isOwn ? button("take back", () => decide(() => ({ decision: "undo", value: decision.decision_id })), { "aria-label": `Take back: ${said(decision)}` }) : null;
    return element("li", {}, element("span", { class: decision.undone ? "undone" : null }, said(decision)), " ", back);
  }));
  get("exclude").replaceChildren(element("kbd", {}, "x"), state.excluded ? " include again" : " exclude");
  get("progress").textContent = `${state.progress.rated} of ${state.progress.scans} rated`;
}

function show() {
  showRatings();
  showLevels();
  showHistory();
  if (image) viewer.createOnLocationChange();
}

function turn(to) {
  const scan = content.neighbours[to];
  location.assign(scan ? `/review/scan/${encodeURIComponent(scan)}` : "/review/");
}

// --- the viewer ---

// Left, top, width and height of the sagittal, the coronal and the axial plane (2, 1, 0).
const PLANES = [
  { sliceType: 2, position: [0, 0, 0.6, 1] },
  { sliceType: 1, position: [0.6, 0, 0.4, 0.6] },
  { sliceType: 0, position: [0.6, 0.6, 0.4, 0.4] },
];
let viewer = null;
let image = null;
const masks = {};
let lastMask = "";

function showPicture(why) {
  get("no-image").textContent = content.hasPicture ? `${why} This is its picture.` : why;
  get("no-image").hidden = false;
  get("viewer").hidden = true;
  if (content.hasPicture) get("picture").src = `${here}/picture.webp`;
  get("picture").hidden = !content.hasPicture;
}

async function volume(name, address, opacity) {
  const answer = await fetch(address);
  if (!answer.ok) throw new Error(await answer.text());
  return niivue.NVImage.loadFromUrl({ url: await answer.arrayBuffer(), name: `${name}.nii.gz`, opacity });
}

function goTo(centre) {
  viewer.scene.crosshairPos = viewer.mm2frac(centre);
  viewer.createOnLocationChange();
  viewer.drawScene();
}

// One mask at a time: NiiVue lets masks that lie over each other stain one another.
function showMask(name) {
  get("mask").value = name;
  if (name) lastMask = name;
  for (const shown of viewer.volumes.slice(1)) if (shown !== masks[name]) viewer.removeVolume(shown);
  if (!masks[name]) return;
  if (!viewer.volumes.includes(masks[name])) viewer.addVolume(masks[name]);
  viewer.setOpacity(1, Number(get("opacity").value));
}

function showPlace(location) {
  const names = Object.entries(masks).map(([name, found]) => {
    const { I, labels } = content.colours[name];
    const label = Math.round(found.getValue(...location.vox));
    const place = name === "vert" ? state.vertebrae.findIndex((one) => one.label === label) : -1;
    return place < 0 ? labels[I.indexOf(label)] : `vertebra ${place + 1}: ${nowText(state.vertebrae[place])}`;
  });
  const value = location.values[0]?.value;
  get("place").textContent = [`${Math.round(value * 100) / 100}`, ...names.filter(Boolean)].join(", ");
}

function setWindow() {
  image.cal_min = Math.min(Number(get("low").value), Number(get("high").value));
  image.cal_max = Math.max(Number(get("low").value), Number(get("high").value));
  viewer.updateGLVolume();
}

function showWindow() {
  const { global_min: from, global_max: to } = image;
  for (const [id, value] of [["low", image.cal_min], ["high", image.cal_max]]) {
    Object.assign(get(id), { min: from, max: to, step: (to - from) / 500 || 1 });
    get(id).value = value;
  }
}

async function view() {
  if (!content.hasImage) {
    showPicture("The image of this scan is not where it was.");
    return;
  }
  if (!document.createElement("canvas").getContext("webgl2")) {
    showPicture("This browser cannot draw the scan: it has no WebGL 2.");
    return;
  }
  get("viewer").hidden = false;
  viewer = new niivue.Niivue({
    logLevel: "error", crosshairColor: [0.9, 0.6, 0, 0.5], dragAndDropEnabled: false, isRadiologicalConvention: true, sagittalNoseLeft: true,
    dragMode: niivue.DRAG_MODE.windowing, crosshairWidthUnit: "mm", crosshairWidth: 0.5,
    clipPlaneHotKey: "", cycleClipPlaneHotKey: "", viewModeHotKey: "",
  });
  viewer.onLocationChange = showPlace;
  viewer.onIntensityChange = showWindow;
  await viewer.attachToCanvas(get("canvas"));
  viewer.setCustomLayout(PLANES);
  image = await volume("image", `${here}/image.nii.gz`, 1);
  viewer.addVolume(image);
  for (const name of content.masks) {
    masks[name] = await volume(name, `${here}/mask/${name}.nii.gz`, 1);
    masks[name].setColormapLabel(content.colours[name]);
    get("mask").append(element("option", { value: name }, { spine: "structures", vert: "vertebrae" }[name]));
  }
  showWindow();
  const middle = state.vertebrae[Math.floor(state.vertebrae.length / 2)]?.centre;
  if (middle) goTo(middle);
  showMask(content.masks.at(-1) ?? "");
  showLevels();
}

get("mask").addEventListener("change", () => showMask(get("mask").value));
get("opacity").addEventListener("input", () => showMask(get("mask").value));
for (const id of ["low", "high"]) get(id).addEventListener("input", setWindow);

function nextMask() {
  const names = [...get("mask").options].map((option) => option.value);
  showMask(names[(names.indexOf(get("mask").value) + 1) % names.length]);
}

const MOVES = { ArrowLeft: [0, 1, 0], ArrowRight: [0, -1, 0], ArrowUp: [0, 0, 1], ArrowDown: [0, 0, -1], PageUp: [1, 0, 0], PageDown: [-1, 0, 0] };

// --- keys ---

const KEYS = {
  a: rateRest,
  r: () => rows[chosen].querySelector(".reason").focus(),
  c: () => rows[chosen].querySelector(".comment").focus(),
  z: () => decide(() => ({ decision: "undo" })),
  x: exclude,
  n: () => turn("next"),
  p: () => turn("previous"),
  m: () => viewer && nextMask(),
  o: () => viewer && showMask(get("mask").value ? "" : lastMask),
  "+": () => shift(1),
  "-": () => shift(-1),
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (/INPUT|SELECT|TEXTAREA/.test(event.target.tagName)) {
    if (event.key === "Escape" || (event.key === "Enter" && event.target.tagName === "INPUT")) event.target.blur();
    return;
  }
  let act = KEYS[event.key];
  if (VALUES[event.key]) act = () => rateChosen(VALUES[event.key]);
  else if (domains[Number(event.key) - 1]) act = () => choose(Number(event.key) - 1);
  else if (event.target === get("canvas") && MOVES[event.key]) act = () => viewer?.moveCrosshairInVox(...MOVES[event.key]);
  if (!act) return;
  event.preventDefault();
  event.stopPropagation(); // NiiVue has keys of its own
  act();
}, { capture: true });

rows.forEach((one, place) => {
  const { domain } = one.dataset;
  one.addEventListener("focusin", () => choose(place));
  for (const made of one.querySelectorAll(".values button")) made.addEventListener("click", () => rate(domain, made.dataset.value));
  for (const field of one.querySelectorAll(".reason, .comment")) field.addEventListener("change", () => detail(domain));
});
get("up").addEventListener("click", () => shift(-1));
get("down").addEventListener("click", () => shift(1));
get("as-found").addEventListener("click", () => decide(() => (state.shift ? { decision: "clear" } : null)));
get("undo").addEventListener("click", KEYS.z);
get("exclude").addEventListener("click", exclude);
for (const to of ["previous", "next"]) {
  const scan = content.neighbours[to];
  if (scan) get(to).href = `/review/scan/${encodeURIComponent(scan)}`;
}
window.addEventListener("pagehide", sendUnsent);

choose(0);
show();
view().catch((error) => showPicture(error.message)).finally(() => { document.body.dataset.ready = "yes"; });
