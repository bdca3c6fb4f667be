
"use strict";
// The points of the page, drawn on a canvas: turned by dragging, zoomed by scrolling, searched by name.
const data = JSON.parse(document.getElementById("data").textContent);
const bytes = Uint8Array.from(atob(data.points), (c) => c.charCodeAt(0));
const numbers = new Float32Array(bytes.buffer);
const count = data.group.length;
const canvas = document.getElementById("space");
const context = canvas.getContext("2d");
const tip = document.getElementById("tip");
const search = document.getElementById("search");
const flat = document.getElementById("flat");
const turn = document.getElementById("turn");
const found = document.getElementById("found");
const colour = (group) => (group < data.colours.length ? data.colours[group] : data.grey);

// Where each point is on the canvas, and which are shown as found.
const x = new Float32Array(count), y = new Float32Array(count), depth = new Float32Array(count);
let chosen = null;
let yaw = 0.5, pitch = 0.3, zoom = 1, panX = 0, panY = 0;

// Points of one colour are drawn together: the canvas is slow in changing it.
const order = Array.from(data.group.keys()).sort((a, b) => data.group[b] - data.group[a]);

function project() {
  const ratio = window.devicePixelRatio || 1;
  const width = Math.round(canvas.clientWidth * ratio), height = Math.round(canvas.clientHeight * ratio);
  if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
  const scale = 0.46 * Math.min(width, height) * zoom;
  const [sy, cy, sp, cp] = [Math.sin(yaw), Math.cos(yaw), Math.sin(pitch), Math.cos(pitch)];
  for (let i = 0; i < count; i++) {
    const at = 5 * i;
    let a, b, c;
    if (flat.checked) {
      [a, b, c] = [numbers[at + 3], numbers[at + 4], 0];
    } else {
      const [px, py, pz] = [numbers[at], numbers[at + 1], numbers[at + 2]];
      const side = cy * px + sy * pz, front = cy * pz - sy * px;
      [a, b, c] = [side, cp * py - sp * front, sp * py + cp * front];
    }
    x[i] = width / 2 + scale * (a + panX);
    y[i] = height / 2 - scale * (b + panY);
    depth[i] = c;
  }
  return ratio;
}

function draw() {
  const ratio = project();
  context.clearRect(0, 0, canvas.width, canvas.height);
  const size = Math.max(2, 2.2 * Math.sqrt(zoom)) * ratio;
  // Far points first, fainter.
  for (const [far, near, alpha] of [[-9, -0.2, 0.35], [-0.2, 0.2, 0.6], [0.2, 9, 0.9]]) {
    let last = null;
    for (const i of order) {
      if (depth[i] < far || depth[i] >= near) continue;
      const shown = chosen === null || chosen.has(data.group[i]);
      const fill = shown ? colour(data.group[i]) : "#8884";
      if (fill !== last) context.fillStyle = last = fill;
      context.globalAlpha = shown ? (chosen === null ? alpha : 1) : 0.25;
      const s = shown && chosen !== null ? 1.8 * size : size;
      context.fillRect(x[i] - s / 2, y[i] - s / 2, s, s);
    }
  }
  context.globalAlpha = 1;
}

let waiting = false;
function redraw() {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => {
    waiting = false;
    if (turn.checked && !flat.checked) {
      yaw += 0.01;
      redraw();
    }
    draw();
  });
}

function nearest(px, py) {
  const ratio = window.devicePixelRatio || 1;
  let best = -1, least = (12 * ratio) ** 2;
  for (let i = 0; i < count; i++) {
    if (chosen !== null && !chosen.has(data.group[i])) continue;
    const d = (x[i] - px * ratio) ** 2 + (y[i] - py * ratio) ** 2;
    if (d < least) [best, least] = [i, d];
  }
  return best;
}

function show(px, py) {
  const i = nearest(px, py);
  tip.hidden = i < 0;
  if (i < 0) return;
  tip.replaceChildren();
  if (data.sheets.length > 0) {
    const picture = document.createElement("div");
    const place = i % data.sheet;
    picture.style.cssText = `width:${data.side}px;height:${data.side}px;margin-bottom:3px`;
    picture.style.backgroundImage = `url(${data.sheets[Math.floor(i / data.sheet)]})`;
    picture.style.backgroundPosition = `-${data.side * (place % data.row)}px -${data.side * Math.floor(place / data.row)}px`;
    tip.append(picture);
  }
  const name = document.createElement("b");
  name.textContent = data.groups[data.group[i]];
  const caption = document.createElement("div");
  caption.textContent = data.captions[i];
  tip.append(name, caption);
  tip.style.left = `${Math.min(px + 14, canvas.clientWidth - 180)}px`;
  tip.style.top = `${py + 14}px`;
}

function look() {
  // Folders often have an underscore where names have a space.
  const plain = (name) => name.trim().toLowerCase().replaceAll("_", " ");
  const words = plain(search.value);
  chosen = null;
  found.textContent = "";
  if (words) {
    chosen = new Set();
    data.groups.forEach((name, group) => plain(name).includes(words) && chosen.add(group));
    const points = data.group.reduce((sum, group) => sum + chosen.has(group), 0);
    found.textContent = `${chosen.size} found, ${points} faces`;
  }
  redraw();
}

const legend = document.getElementById("legend");
data.groups.slice(0, data.colours.length).forEach((name, group) => {
  const entry = document.createElement("button");
  entry.type = "button";
  entry.textContent = name;
  entry.style.cssText = `border:0;border-left:10px solid ${colour(group)};margin:2px;padding:2px 8px;cursor:pointer`;
  entry.addEventListener("click", () => {
    search.value = search.value === name ? "" : name;
    look();
  });
  legend.append(entry);
});

let held = null;
canvas.addEventListener("pointerdown", (event) => {
  held = [event.offsetX, event.offsetY];
  canvas.setPointerCapture(event.pointerId);
});
canvas.addEventListener("pointerup", () => (held = null));
canvas.addEventListener("pointerleave", () => (tip.hidden = true));
canvas.addEventListener("pointermove", (event) => {
  if (held === null) return show(event.offsetX, event.offsetY);
  const [dx, dy] = [event.offsetX - held[0], event.offsetY - held[1]];
  held = [event.offsetX, event.offsetY];
  if (flat.checked || event.shiftKey) {
    const scale = 0.46 * Math.min(canvas.clientWidth, canvas.clientHeight) * zoom;
    [panX, panY] = [panX + dx / scale, panY - dy / scale];
  } else {
    [yaw, pitch] = [yaw - 0.008 * dx, pitch + 0.008 * dy];
  }
  redraw();
});
canvas.addEventListener("wheel", (event) => {
  event.preventDefault();
  zoom = Math.min(60, Math.max(0.3, zoom * Math.exp(-0.0015 * event.deltaY)));
  redraw();
}, { passive: false });
search.addEventListener("input", look);
flat.addEventListener("change", redraw);
turn.addEventListener("change", redraw);
window.addEventListener("resize", redraw);
redraw();
