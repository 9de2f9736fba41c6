"use strict";

const PER_PAGE = 60;
const ZOOM = 2;
const stored = document.getElementById("numbers");
// the numbers of the browser may stand inside those of a larger page: data-part is the way to them
const numbers = (stored.dataset.part || "").split(".").filter(Boolean).reduce((part, key) => part[key], JSON.parse(stored.textContent));
const pictures = JSON.parse(document.getElementById("pictures").textContent);
const element = id => document.getElementById(id);
const percent = (value, digits = 1) => `${(100 * value).toFixed(digits)} %`;
const count = value => value.toLocaleString("en");

const faces = numbers.faces.map((face, row) => ({
  ...face,
  row,
  confidence: Math.max(...face.probabilities),
  ofLabel: face.probabilities[numbers.classes.indexOf(face.label)],
  wrong: face.label !== face.predicted,
  taggers: face.votes ? face.votes[numbers.candidates.indexOf(face.label)] / face.votes.reduce((a, b) => a + b) : 2,
}));
const haveVotes = faces.some(face => face.votes);

const ORDERS = {
  "confidence, most first": (a, b) => b.confidence - a.confidence,
  "confidence, least first": (a, b) => a.confidence - b.confidence,
  "probability of the label, least first": (a, b) => a.ofLabel - b.ofLabel,
  "name": (a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0),
};
if (haveVotes) ORDERS["taggers for the label, fewest first"] = (a, b) => a.taggers - b.taggers;

const bytes = text => Uint8Array.from(atob(text), letter => letter.charCodeAt(0));
const heat = bytes(pictures.heat);
const layers = numbers.maps.map(layer => ({
  ...layer,
  pixels: bytes(layer.values),
  places: new Map(layer.rows.map((row, place) => [row, place])),
}));

let shown = [];
let page = 0;

// what is shown

function chosen() {
  const [verdict, label, predicted] = ["verdict", "label", "predicted"].map(id => element(id).value);
  const part = element("name").value.trim().toLowerCase();
  return faces
    .filter(face => verdict === "all" || face.wrong === (verdict === "wrong"))
    .filter(face => (!label || face.label === label) && (!predicted || face.predicted === predicted))
    .filter(face => face.name.toLowerCase().includes(part))
    .sort(ORDERS[element("sort").value]);
}

function update() {
  shown = chosen();
  page = 0;
  for (const button of element("pairs").querySelectorAll("button")) {
    const { label, predicted } = button.dataset;
    const pressed = element("verdict").value === "wrong" && element("label").value === label && element("predicted").value === predicted;
    button.setAttribute("aria-pressed", pressed);
  }
  draw();
}

function turnTo(number) {
  const target = Math.max(0, Math.min(number, pages() - 1));
  if (target === page) return;
  page = target;
  draw();
  element("filters").scrollIntoView({ block: "nearest" });
}

const pages = () => Math.max(1, Math.ceil(shown.length / PER_PAGE));

function draw() {
  const start = page * PER_PAGE;
  const few = shown.slice(start, start + PER_PAGE);
  element("faces").replaceChildren(...few.map(card));
  element("faces").scrollTop = 0;
  element("nothing").hidden = few.length > 0;
  element("nothing").textContent = numbers.wrong || element("verdict").value !== "wrong"
    ? "No face is like this; change the filters." : "No face is judged wrong; show all, or the right ones.";
  const range = few.length ? `faces ${count(start + 1)}–${count(start + few.length)} of ${count(shown.length)}` : "0 faces";
  element("status").textContent = `${range}, page ${count(page + 1)} of ${count(pages())}`;
  for (const id of ["first", "previous"]) element(id).disabled = page === 0;
  for (const id of ["next", "last"]) element(id).disabled = page === pages() - 1;
}

// one face

function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

function card(face) {
  const verdict = face.wrong ? "wrong" : "right";
  const title = make(`h${Number(element("browser").dataset.level) + 1}`, { class: "title" }, `${face.label} → `, make("span", { class: verdict }, `${face.predicted} ${face.wrong ? "✗" : "✓"}`), ` ${percent(face.confidence)}`);
  const words = `label ${face.label}, predicted ${face.predicted} with ${percent(face.confidence)}, ${face.name}`;
  const boxes = make("div", { class: "pictures" }, picture(face, null, `face: ${words}`));
  const layer = layers[Number(element("layer").value)];
  const place = layer ? layer.places.get(face.row) : undefined;
  const about = [face.name];
  if (place !== undefined) {
    boxes.append(picture(face, layer, `${layer.title}: ${words}`));
    about.unshift(`map for ${layer.targets[place]}, peak ${layer.peaks[place]}`);
  }
  if (haveVotes) about.unshift(votes(face));
  return make("li", { class: "face", "data-name": face.name }, title, boxes,
    make("div", { class: "about" }, bars(face), ...about.map(line => make("p", { class: "words" }, line))));
}

function votes(face) {
  if (!face.votes) return "taggers: no votes known";
  const given = face.votes.map((votes, place) => [votes, numbers.candidates[place]]).filter(([votes]) => votes > 0);
  return `taggers: ${given.sort((a, b) => b[0] - a[0]).map(pair => pair.join(" ")).join(", ")}`;
}

function bars(face) {
  const list = make("dl", { class: "bars" });
  numbers.classes.forEach((name, place) => {
    const value = face.probabilities[place];
    const kind = name === face.label ? "of-label" : name === face.predicted ? "of-prediction" : "";
    const fill = make("span", { class: "fill" });
    fill.style.width = `${100 * value}%`;
    fill.style.background = pictures.colours[name];
    list.append(make("dt", { class: kind }, name), make("dd", { class: "track", "aria-hidden": "true" }, fill), make("dd", { class: "value" }, percent(value)));
  });
  return list;
}

// pixels

const sheets = pictures.sheets.map(() => null);

function sheet(number) {
  if (!sheets[number]) {
    const image = new Image();
    image.src = `data:image/jpeg;base64,${pictures.sheets[number]}`;
    sheets[number] = image.decode().then(() => image);
  }
  return sheets[number];
}

function picture(face, layer, words) {
  const { side, columns } = pictures;
  const canvas = make("canvas", { role: "img", "aria-label": words, width: ZOOM * side, height: ZOOM * side });
  const place = face.row % (columns * columns);
  sheet(Math.floor(face.row / (columns * columns))).then(image => {
    if (!canvas.isConnected) return;
    const pen = canvas.getContext("2d");
    pen.imageSmoothingQuality = "high";
    pen.drawImage(image, (place % columns) * side, Math.floor(place / columns) * side, side, side, 0, 0, canvas.width, canvas.height);
    if (layer) pen.drawImage(coloured(layer, layer.places.get(face.row)), 0, 0, canvas.width, canvas.height);
    canvas.dataset.drawn = "yes";
  });
  return canvas;
}

function coloured(layer, place) {
  const small = make("canvas", { width: layer.side, height: layer.side });
  const area = layer.side * layer.side;
  const image = new ImageData(layer.side, layer.side);
  for (let i = 0; i < area; i++) image.data.set(heat.subarray(4 * layer.pixels[place * area + i], 4 * layer.pixels[place * area + i] + 4), 4 * i);
  small.getContext("2d").putImageData(image, 0, 0);
  return small;
}

// the frame around them

function options(id, names, first) {
  const entries = first === undefined ? names : [["", first], ...names];
  element(id).replaceChildren(...entries.map(([value, text]) => make("option", { value }, text)));
}

function pairButton(pair, most) {
  const button = make("button", { type: "button", "data-label": pair.label, "data-predicted": pair.predicted, "aria-pressed": "false" },
    make("span", { class: "count" }, count(pair.count)), `${pair.label} → ${pair.predicted}`,
    make("small", {}, `${percent(pair.share_of_label)} of ${pair.label}, ${percent(pair.share_of_mistakes)} of all mistakes`));
  const share = make("span", { class: "share" });
  share.style.width = `${100 * pair.count / most}%`;
  button.append(share);
  button.addEventListener("click", () => {
    const again = button.getAttribute("aria-pressed") === "true";
    element("verdict").value = "wrong";
    element("label").value = again ? "" : pair.label;
    element("predicted").value = again ? "" : pair.predicted;
    update();
  });
  return make("li", {}, button);
}

function toggleMaps() {
  const select = element("layer");
  if (layers.length) select.value = select.value === "-1" ? "0" : "-1";
  draw();
}

function browse() {
  const most = Math.max(1, ...numbers.pairs.map(pair => pair.count));
  element("pairs").replaceChildren(...numbers.pairs.map(pair => pairButton(pair, most)));
  for (const id of ["label", "predicted"]) options(id, numbers.classes.map(name => [name, name]), "any");
  options("sort", Object.keys(ORDERS).map(name => [name, name]));
  options("layer", [...layers.map((layer, place) => [place, layer.title]), [-1, "none"]]);
  for (const id of ["verdict", "label", "predicted", "sort"]) element(id).addEventListener("change", update);
  element("layer").addEventListener("change", draw);
  element("name").addEventListener("input", update);
  element("filters").addEventListener("submit", event => event.preventDefault());
  const turns = { first: () => 0, previous: () => page - 1, next: () => page + 1, last: () => pages() - 1 };
  for (const [id, target] of Object.entries(turns)) element(id).addEventListener("click", () => turnTo(target()));
  // a page that has more than the browser keeps its keys for itself while the focus is elsewhere
  if (stored.dataset.part) element("faces").tabIndex = 0; // there the list scrolls by itself
  const listening = stored.dataset.part ? element("browser") : document;
  listening.addEventListener("keydown", event => {
    if (event.altKey || event.ctrlKey || event.metaKey || event.target.matches("select, input")) return;
    const act = { ArrowLeft: () => turnTo(page - 1), ArrowRight: () => turnTo(page + 1), m: toggleMaps }[event.key];
    if (act) act();
  });
  update();
}

browse();
