// buffers.js - objects, buffers, compression, JSON, worker threads. The output depends on nothing but this file.
const zlib = require('zlib'), crypto = require('crypto');
const { Worker, isMainThread, parentPort, workerData } = require('worker_threads');
let seed = 1;
const roll = n => (seed = (Math.imul(seed, 1103515245) + 12345) >>> 0) % n;
function work(rounds) {
  const hash = crypto.createHash('sha256');
  for (let i = 0; i < rounds; i++) {
    const items = Array.from({ length: 20 }, () => ({ id: roll(1e6), name: 'item ' + roll(100), tags: ['a', 'b'] }));
    const packed = zlib.deflateSync(JSON.stringify(items));
    const copy = Buffer.from(Buffer.concat([packed, Buffer.alloc(9000 + roll(9000), i & 255)]));
    hash.update(zlib.inflateSync(packed)).update(copy.subarray(packed.length));
    hash.update(crypto.createHash('md5').update(copy).digest('hex'));
  }
  return hash.digest('hex');
}
if (isMainThread) {
  console.log(work(25000));
  let left = 2;
  const lines = [];
  for (let i = 0; i < 2; i++) {
    const worker = new Worker(__filename, { workerData: i });
    worker.on('message', text => lines.push(text));
    worker.on('exit', () => { if (--left === 0) console.log(lines.sort().join('\n')); });
  }
} else {
  seed = workerData + 2;
  parentPort.postMessage(workerData + ' ' + work(10000));
}
