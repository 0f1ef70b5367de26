// Drives the live page in headless Chromium: charts drawn, lines arriving live, zoom, smoothing, theme, a telephone, runs laid
// over each other, the server lost and found again, 50,000 lines; no error in the console, and no request leaves the origin.
//
//   npm install playwright-core                                (in any directory; development only)
//   node …/scripts/check_live.mjs [PICTURES]                   (from that directory; CHROMIUM=/usr/bin/chromium)
//
// PICTURES is a directory for screenshots, to be looked at. Tried with playwright-core 1.65.1 and Chromium 156.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const { chromium } = createRequire(`${process.cwd()}/`)('playwright-core');
const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const pictures = process.argv[2] ?? '';
const work = fs.mkdtempSync(path.join(os.tmpdir(), 'frugal-live-'));
const replay = path.join(work, 'livereplay');
const built = spawnSync('go', ['build', '-o', replay, './scripts/livereplay'], { cwd: root, stdio: 'inherit' });
assert.equal(built.status, 0, 'scripts/livereplay must build');

const config = (lr, width) => ({ batch_size: 8, hidden_size: width, learning_rate: lr, max_steps: 1000, model_name: 'demo', monitoring: { listen: '127.0.0.1:0', prompts: ['Era uma vez'], tensorboard: true }, num_layers: 4, seed: 42 });
const begin = Date.parse('2026-01-02T15:00:00Z');

// lines are a made-up run's metrics.jsonl: what a training with fp16, a curriculum and samples writes. wide is the time in
// milliseconds that a step takes.
function lines({ lr = 2e-3, width = 192, steps = 1000, every = 10, total = 1000, end = '', seed = 1, took = 100, plain = false }) {
  let state = seed;
  const noise = () => (state = (state * 16807) % 2147483647) / 2147483647 - 0.5;
  const at = step => new Date(begin + step * took).toISOString();
  const list = [{ event: 'run', step: 0, status: 'started', run_id: `run${seed}`, device: plain ? 'cpu' : 'cuda', precision: plain ? 'bf16' : 'fp16', parameters: 1853760 * width / 192, total_steps: total, resumed: false, config: config(lr, width), time: at(0) }];
  for (let step = every; step <= steps; step += every) {
    const part = step / total, loss = 1.7 + 3.2 * Math.exp(-9 * part) + 40 * (0.0025 - lr) + 0.12 * noise();
    const hard = Math.min(1, part * 1.4), weights = { 'fácil': (1 - hard) * 0.9 + 0.05, 'médio': 0.3, 'difícil': hard * 0.9 + 0.05 };
    const sum = Object.values(weights).reduce((a, b) => a + b);
    for (const name of Object.keys(weights)) weights[name] /= sum;
    const line = { event: 'train', step, epoch: step / 151, loss: !plain && step === 400 ? 'NaN' : loss, learning_rate: lr * Math.min(1, step / 40) * (0.1 + 0.9 * (1 + Math.cos(Math.PI * part)) / 2), grad_norm: 0.8 + Math.exp(-step / 60) + 0.5 * Math.abs(noise()), tokens: step * 1024, tokens_per_second: 10240 + 900 * noise(), step_seconds: took / 1000, peak_memory_bytes: 256e6, resident_memory_bytes: 240e6 + 8e6 * noise(), cpu_percent: 190 + 10 * noise() };
    if (!plain) {
      const drawn = Object.fromEntries(Object.entries(weights).map(([name, w]) => [name, Math.max(0, w + 0.15 * noise())]));
      Object.assign(line, { loss_scale: 65536 * 2 ** Math.floor(step / 400), skipped_updates: 1, allocated_memory_bytes: 1.5e9, reserved_memory_bytes: 2.1e9, gpu_memory_used_bytes: 2.6e9, gpu_utilization: 93 + 6 * noise(), gpu_temperature_celsius: Math.round(64 + 4 * noise()), gpu_power_watts: 310 + 40 * noise(), curriculum_weights: weights, curriculum_drawn: drawn });
    }
    list.push({ ...line, time: at(step) });
    if (step % (every * 10) === 0) {
      list.push({ event: 'eval', step, loss: loss + 0.08, perplexity: Math.exp(loss + 0.08), bits_per_byte: (loss + 0.08) / Math.log(2), tokens: 5747, seconds: 0.1, time: at(step + 1) });
      for (const [i, prompt] of ['Era uma vez', 'O gato <b>preto</b>'].entries()) {
        list.push({ event: 'sample', step, prompt_index: i, sample_index: 0, prompt, text: `${prompt}${' um rei que não sabia rir, e o povo da cidade\nfoi ao castelo'.slice(0, 12 + step / 20)} …`, time: at(step + 1) });
      }
    }
    if (step % (every * 25) === 0) list.push({ event: 'save', step, path: `output/demo/demo_step_${step}`, bytes: 22276740, seconds: 0.08, time: at(step + 1) });
  }
  if (end) list.push({ event: 'run', step: steps, status: end, run_id: `run${seed}`, ...(end === 'complete' ? { seconds: 99.6 } : { reason: 'stopped by a signal' }), time: at(steps) });
  return list.map(line => `${JSON.stringify(line)}\n`);
}

function writeRun(name, options) {
  fs.mkdirSync(path.join(work, 'runs', name), { recursive: true });
  fs.writeFileSync(path.join(work, 'runs', name, 'metrics.jsonl'), lines(options).join(''));
}

// serve starts a page for the run of this name; feed() gives it lines, end() ends the run.
async function serve(name, listen = '127.0.0.1:0') {
  const child = spawn(replay, ['-listen', listen, path.join(work, 'runs', name)], { stdio: ['pipe', 'pipe', 'inherit'] });
  const url = await new Promise((resolve, reject) => {
    child.stdout.once('data', data => resolve(String(data).trim()));
    child.once('exit', code => reject(new Error(`livereplay ended with ${code}`)));
  });
  const ended = new Promise(resolve => child.once('exit', resolve));
  return { url, feed: text => child.stdin.write(text.join('')), end: () => (child.stdin.end(), ended), kill: () => (child.kill('SIGKILL'), ended) };
}

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox', '--disable-gpu', '--disable-quic'] });
const problems = [];

async function open(url, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, locale: 'en-GB', ...options });
  const page = await context.newPage();
  page.offline = false; // set where a test takes the server away
  page.on('console', message => { if (message.type() === 'error' && !(page.offline && /ERR_|Failed to load/.test(message.text()))) problems.push(`console: ${message.text()}`); });
  page.on('pageerror', error => problems.push(`page: ${error}`));
  page.on('request', request => { if (!request.url().startsWith(new URL(url).origin)) problems.push(`request to ${request.url()}`); });
  await page.goto(url);
  return page;
}

const value = (page, term) => page.locator('#figures div', { hasText: term }).locator('dd').first().innerText();
const shows = (page, selector, text) => page.locator(selector, { hasText: text }).first().waitFor({ timeout: 5000 });
const picture = async (page, name, options = {}) => {
  if (!pictures) return;
  if (options.fullPage) await page.evaluate(() => scrollTo(0, 0));
  await page.screenshot({ path: path.join(pictures, `${name}.png`), ...options });
};
// ink counts the pixels of a chart that are not its background.
const ink = (page, chart) => page.locator(`[data-chart="${chart}"] canvas`).evaluate(canvas => {
  const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
  let count = 0;
  for (let i = 3; i < data.length; i += 4) if (data[i] > 0) count++;
  return count;
});
const range = (page, chart) => page.evaluate(key => {
  const over = document.querySelector(`[data-chart="${key}"] .u-over`).getBoundingClientRect();
  return over.width > 0 && [over.left, over.top, over.width, over.height];
}, chart);
// watchRuns keeps what a page knows where known finds it: the losses by step of the run that is fed from then on.
const watchRuns = page => page.evaluate(() => {
  const add = frugal.Run.prototype.addLines;
  frugal.Run.prototype.addLines = function (text) {
    window.fed = this;
    add.call(this, text);
  };
});
const known = page => page.evaluate(() => ({ step: fed.series('train/loss').step, loss: fed.series('train/loss').value.map(String), evaluations: fed.evaluations.map(line => line.step) }));
const inFile = file => {
  const all = fs.readFileSync(file, 'utf8').trim().split('\n').map(line => JSON.parse(line)), train = all.filter(line => line.event === 'train');
  return { step: train.map(line => line.step), loss: train.map(line => String(line.loss)), evaluations: all.filter(line => line.event === 'eval').map(line => line.step) };
};
const settle = page => page.evaluate(() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done, 60)))));
const passed = name => console.log(`ok   ${name}`);

try {
  if (pictures) fs.mkdirSync(pictures, { recursive: true });
  writeRun('lr-1e-3', { lr: 1e-3, seed: 7, end: 'complete', took: 80 });
  writeRun('sweep/largo <i>x</i>', { lr: 2.4e-3, width: 256, seed: 11, steps: 600, end: 'stopped', plain: true });
  const all = lines({ seed: 3 });
  const half = all.findIndex(line => JSON.parse(line).step > 620);
  let server = await serve('demo');
  server.feed(all.slice(0, half));

  const page = await open(server.url);
  await shows(page, '#figures', '620');
  assert.equal(await page.locator('h1').innerText(), 'demo');
  for (const chart of ['loss', 'bits_per_byte', 'learning_rate', 'grad_norm', 'loss_scale', 'speed', 'memory', 'utilisation', 'temperature', 'power']) {
    await page.locator(`[data-chart="${chart}"]`).scrollIntoViewIfNeeded();
    await settle(page);
    assert.ok(await ink(page, chart) > 500, `${chart} is drawn`);
  }
  for (const chart of ['curriculum_weights', 'curriculum_drawn']) {
    await page.locator(`[data-chart="${chart}"]`).scrollIntoViewIfNeeded();
    await settle(page);
    assert.ok(await ink(page, chart) > 20000, `${chart} is filled`);
    const shares = (await page.locator(`[data-chart="${chart}"] .chip b`).allInnerTexts()).map(parseFloat);
    assert.ok(Math.abs(shares.reduce((a, b) => a + b) - 100) < 2, `${chart} tells shares: ${shares}`);
  }
  await page.evaluate(() => scrollTo(0, 0));
  await shows(page, '#status', 'running');
  assert.equal(await page.locator('.sample b').count(), 0, 'a sample is text, not markup');
  await shows(page, '.sample', 'O gato <b>preto</b>');
  passed('charts, figures and samples are there');

  await picture(page, 'desktop-light', { fullPage: true });
  server.feed(all.slice(half, half + 3));
  const next = JSON.parse(all[half]);
  await shows(page, '#figures', String(JSON.parse(all[half + 2]).step));
  assert.equal(await value(page, 'Loss'), JSON.parse(all.slice(half, half + 3).findLast(line => JSON.parse(line).event === 'train')).loss.toFixed(4));
  passed(`line of step ${next.step} arrived live, its loss as in the file`);

  const before = await page.locator('[data-chart="loss"] .legend').innerText();
  const [left, top, width, height] = await range(page, 'loss');
  await page.mouse.move(left + width * 0.5, top + height / 2);
  await shows(page, '[data-chart="loss"] .position', 'step');
  const there = await page.locator('[data-chart="loss"] .legend').innerText();
  assert.notEqual(there, before, 'the legend follows the cursor');
  const step = Number((await page.locator('[data-chart="learning_rate"] .position').innerText()).replace(/\D/g, ''));
  assert.ok(Math.abs(step - 325) < 12, `the other charts' cursor stands at the same step, ${step}`);
  passed('the legend shows the values under the cursor, in all charts');

  await page.mouse.move(left + width * 0.25, top + height / 2);
  await page.mouse.down();
  await page.mouse.move(left + width * 0.5, top + height / 2, { steps: 5 });
  await page.mouse.up();
  await page.getByRole('button', { name: 'Reset zoom' }).waitFor();
  await picture(page, 'desktop-zoomed');
  server.feed(all.slice(half + 3, half + 8));
  await settle(page);
  await page.mouse.move(left + width * 0.51, top + height / 2);
  await page.mouse.move(left + width * 0.5, top + height / 2);
  const inZoom = Number((await page.locator('[data-chart="loss"] .position').innerText()).replace(/\D/g, ''));
  assert.ok(inZoom > 200 && inZoom < 300, `the middle is at step ${inZoom} of a zoom to about 160 … 325`);
  await page.mouse.dblclick(left + width * 0.5, top + height / 2);
  await page.getByRole('button', { name: 'Reset zoom' }).waitFor({ state: 'hidden' });
  passed('zoom by dragging, kept while lines arrive, and back by a double click');

  const smoothed = await page.locator('[data-chart="grad_norm"] canvas').evaluate(canvas => canvas.toDataURL());
  await page.locator('#smoothing').fill('0.95');
  await settle(page);
  assert.notEqual(await page.locator('[data-chart="grad_norm"] canvas').evaluate(canvas => canvas.toDataURL()), smoothed);
  await page.locator('#smoothing').fill('0');
  await settle(page);
  assert.equal(await page.locator('[data-chart="grad_norm"] .legend small').count(), 0, 'nothing is smoothed at 0');
  await page.locator('#smoothing').fill('0.6');
  await page.locator('[data-chart="loss"] .toggle').click();
  assert.equal(await page.locator('[data-chart="loss"] .toggle').getAttribute('aria-pressed'), 'true');
  for (const axis of ['tokens', 'time', 'step']) await page.getByRole('button', { name: axis, exact: true }).click();
  passed('smoothing, logarithmic axis, tokens and time');

  const light = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  await page.locator('.theme').click();
  await page.locator('.theme').click();
  assert.notEqual(await page.evaluate(() => getComputedStyle(document.body).backgroundColor), light);
  await picture(page, 'desktop-dark', { fullPage: true });
  await page.reload();
  await shows(page, '#figures', 'Step');
  assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), 'dark', 'the theme is kept');
  passed('themes');

  await page.locator('#runs summary').click();
  assert.equal(await page.locator('.run-list i i').count(), 0, 'a name is text, not markup');
  await page.getByLabel('lr-1e-3').check();
  await page.getByLabel('sweep/largo').check();
  await shows(page, '[data-chart="loss"] .legend', 'sweep/largo');
  assert.equal(await page.locator('[data-chart="loss"] .chip').count(), 3);
  assert.equal(await page.locator('[data-chart="curriculum_drawn"]').count(), 2, 'shares are not laid over each other');
  await page.locator('#config summary').click();
  await page.getByLabel('only what differs').check();
  assert.deepEqual(await page.locator('#config tbody tr:visible th').allInnerTexts(), ['hidden_size', 'learning_rate']);
  await picture(page, 'overlay-dark', { fullPage: true });
  await page.locator('.theme').click();
  await page.locator('.theme').click();
  await picture(page, 'overlay-light', { fullPage: true });
  passed('three runs laid over each other, and what differs between their configurations');

  // The server is killed, the run goes on from a checkpoint at step 500: its lines past that are cut.
  const port = new URL(server.url).port;
  page.offline = true;
  await watchRuns(page);
  await server.kill();
  await shows(page, '#status', 'connection lost');
  const metrics = path.join(work, 'runs', 'demo', 'metrics.jsonl');
  fs.writeFileSync(metrics, fs.readFileSync(metrics, 'utf8').split('\n').filter(line => line && JSON.parse(line).step <= 500).join('\n') + '\n');
  server = await serve('demo', `127.0.0.1:${port}`);
  server.feed(lines({ seed: 5, took: 101 }).filter(line => JSON.parse(line).step > 500 && JSON.parse(line).step <= 560));
  await shows(page, '#figures', '560');
  page.offline = false;
  const steps = await page.evaluate(() => document.querySelector('#figures dd').innerText);
  assert.match(steps, /^560 /);
  assert.deepEqual(await known(page), inFile(metrics), 'one clean curve');
  server.feed(lines({ seed: 5, took: 101, end: 'complete' }).filter(line => JSON.parse(line).step > 560));
  await shows(page, '#status', 'complete');
  page.offline = true;
  await server.end();
  await new Promise(done => setTimeout(done, 500));
  assert.equal(await page.locator('#status').innerText(), 'complete');
  assert.deepEqual(await known(page), inFile(metrics), 'no line is lost or doubled');
  assert.ok(await ink(page, 'loss') > 500, 'the page stays');
  await page.context().close();
  passed('the server is killed, comes back with lines cut and others in their place, and ends: the page follows');

  server = await serve('demo');
  for (const [name, options] of Object.entries({
    'telephone-light': { colorScheme: 'light' }, 'telephone-dark': { colorScheme: 'dark', locale: 'pt-BR' },
  })) {
    const phone = await open(server.url, { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, hasTouch: true, isMobile: true, ...options });
    await shows(phone, '#figures', '1,000');
    await settle(phone);
    assert.equal(await phone.evaluate(() => document.documentElement.scrollWidth), 390, 'nothing is wider than the telephone');
    await picture(phone, name);
    await picture(phone, `${name}-whole`, { fullPage: true });
    const [x, y, w, h] = await range(phone, 'loss'), bar = await phone.locator('#controls').boundingBox();
    const session = await phone.context().newCDPSession(phone);
    const touch = (type, ...at) => session.send('Input.dispatchTouchEvent', { type, touchPoints: at.map(([px, py], id) => ({ x: px, y: py, id })) });
    await touch('touchStart', [x + w * 0.4, y + h / 2], [x + w * 0.6, y + h / 2]);
    for (let i = 1; i <= 5; i++) await touch('touchMove', [x + w * (0.4 - i * 0.05), y + h / 2], [x + w * (0.6 + i * 0.05), y + h / 2]);
    await touch('touchEnd');
    await phone.locator('#controls .toggle:not([hidden])', { hasText: '⟲' }).waitFor();
    assert.equal((await phone.locator('#controls').boundingBox()).height, bar.height, 'nothing moves under the fingers');
    await picture(phone, `${name}-zoomed`);
    await phone.context().close();
  }
  const narrow = await open(server.url, { viewport: { width: 360, height: 640 }, isMobile: true, hasTouch: true });
  await shows(narrow, '#figures', '1,000');
  assert.equal(await narrow.evaluate(() => document.documentElement.scrollWidth), 360);
  await narrow.context().close();
  await server.end();
  passed('telephone, 390 and 360 pixels wide, pinched, in English and Portuguese');

  server = await serve('demo', '0.0.0.0:0');
  const guest = await open(server.url);
  await shows(guest, '#figures', '1,000');
  assert.equal(await guest.evaluate(() => location.search), '', 'the token does not stay in the address');
  assert.equal(await guest.evaluate(() => document.cookie), '', 'no script reads the cookie');
  await guest.reload();
  await shows(guest, '#status', 'complete');
  await guest.context().close();
  const refused = await (await browser.newContext()).request.get(new URL('/', server.url).href);
  assert.equal(refused.status(), 401);
  await server.end();
  passed('beyond loopback: in with the token, out without');

  writeRun('long', { steps: 500000, total: 500000, every: 10, seed: 13, plain: true });
  server = await serve('long');
  const started = Date.now(), long = await open(server.url);
  await shows(long, '#figures dd', /^500,000/);
  await shows(long, '#status', 'running');
  await settle(long);
  const loaded = Date.now() - started;
  const frame = await long.evaluate(async () => {
    const slider = document.getElementById('smoothing');
    const start = performance.now();
    for (let i = 0; i < 10; i++) {
      slider.value = 0.5 + i / 50;
      slider.dispatchEvent(new Event('input'));
      await new Promise(done => requestAnimationFrame(() => setTimeout(done)));
    }
    return (performance.now() - start) / 10;
  });
  await picture(long, 'long');
  assert.ok(loaded < 15000, `${loaded} ms to show 50,000 lines`);
  assert.ok(frame < 250, `${frame.toFixed(0)} ms to draw 50,000 points anew`);
  await server.end();
  passed(`50,000 lines are there after ${loaded} ms; all charts in sight are drawn anew in ${frame.toFixed(0)} ms`);

  assert.deepEqual(problems, []);
  passed('no error in the console, no request to elsewhere');
} catch (error) {
  console.error('what the pages said:', problems);
  throw error;
} finally {
  await browser.close();
  fs.rmSync(work, { recursive: true });
}
