// face-api's own age and gender network (npm @vladmandic/face-api, unpacked to a folder) in node, on its plain CPU
// backend: the reference of the age-gender model.
//
// Usage: node age_gender.mjs FOLDER < RGB     RGB: photos of 112 x 112 x 3 bytes, one after the other
// Prints a JSON list of [years, probability of male, probability of female].

import fs from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

const folder = path.resolve(process.argv[2]);
const output = process.stdout;

// The bundle is made for browsers and fails where it thinks it has found node: hide that while it loads.
const node = globalThis.process;
Object.defineProperty(globalThis, 'process', { value: { env: {}, versions: {} }, configurable: true, writable: true });
const faceapi = await import(pathToFileURL(path.join(folder, 'dist/face-api.esm.js')));
globalThis.process = node;

class Absent {}
faceapi.env.setEnv({ Canvas: Absent, CanvasRenderingContext2D: Absent, Image: Absent, ImageData: Absent, Video: Absent });
const tf = faceapi.tf;
tf.env().setPlatform('plain', {
  fetch: undefined,
  now: () => performance.now(),
  encode: (text) => new TextEncoder().encode(text),
  decode: (bytes) => new TextDecoder().decode(bytes),
  isTypedArray: (a) => ArrayBuffer.isView(a) && !(a instanceof DataView),
});
await tf.setBackend('cpu');
await tf.ready();

const manifest = JSON.parse(fs.readFileSync(path.join(folder, 'model/age_gender_model-weights_manifest.json')));
const bin = fs.readFileSync(path.join(folder, 'model/age_gender_model.bin'));
const weights = tf.io.decodeWeights(new Uint8Array(bin).buffer, manifest[0].weights);
const net = new faceapi.AgeGenderNet();
net.loadFromWeightMap(weights);

const rgb = fs.readFileSync(0);
const side = 112 * 112 * 3;
const results = [];
for (let at = 0; at < rgb.length; at += side) {
  const photo = tf.tensor3d(Array.from(rgb.subarray(at, at + side)), [112, 112, 3]);
  const { age, gender } = await net.forward(photo);
  results.push([...(await age.data()), ...(await gender.data())]);
}
output.write(`${JSON.stringify(results)}\n`);
