// Opens a report in headless Chromium without a network: every chart drawn, the figures those of metrics.jsonl, sorting, hiding
// a run, zoom, axes, samples, themes, a telephone; no error in the console, and no request.
//
//   npm install playwright-core                                     (in any directory; development only)
//   node …/scripts/check_report.mjs PICTURES RUN RUN…               (from that directory; CHROMIUM=/usr/bin/chromium)
//
// RUN is an output_dir, PICTURES a directory for screenshots, to be looked at. Tried with playwright-core 1.57 and Chromium 142.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const { chromium } = createRequire(`${process.cwd()}/`)('playwright-core');
const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const [pictures, ...runs] = process.argv.slice(2);
assert.ok(runs.length > 1, 'usage: node check_report.mjs PICTURES RUN RUN…');
fs.mkdirSync(pictures, { recursive: true });

const program = path.resolve(pictures, 'report'), file = path.resolve(pictures, 'report.html');
assert.equal(spawnSync('go', ['build', '-o', program, './cmd/report'], { cwd: root, stdio: 'inherit' }).status, 0, 'cmd/report must build');
assert.equal(spawnSync(program, [...runs, '-o', file], { stdio: 'inherit' }).status, 0, 'the report must be written');

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox', '--disable-gpu'] });

// open shows the report in a page of that kind; what goes wrong in it fails the check.
async function open(options) {
  const context = await browser.newContext({ offline: true, locale: 'en-US', ...options });
  const page = await context.newPage();
  page.on('pageerror', error => assert.fail(error.message));
  page.on('console', message => assert.notEqual(message.type(), 'error', message.text()));
  page.on('request', request => assert.match(request.url(), /^(file|data):/));
  await page.goto(`file://${file}`);
  // Charts out of sight are drawn when they come into sight.
  const height = await page.evaluate(() => document.documentElement.scrollHeight);
  await page.setViewportSize({ width: options.viewport.width, height: Math.min(height + 400, 8000) });
  await page.waitForFunction(() => [...document.querySelectorAll('.chart')].every(chart => chart.querySelector('canvas')));
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth), 0, 'nothing may be wider than the page');
  return page;
}

const lastLoss = dir => fs.readFileSync(path.join(dir, 'metrics.jsonl'), 'utf8').split('\n').filter(line => line.startsWith('{"event":"train"'))
  .map(line => JSON.parse(line).loss).pop();

const page = await open({ viewport: { width: 1400, height: 900 } });
await page.screenshot({ path: path.join(pictures, 'light.png') });
assert.ok(await page.locator('.chart').count() >= 5, 'the charts are missing');

const shown = await page.locator('#runs tbody tr td:nth-child(4)').allTextContents();
assert.deepEqual(shown, runs.map(dir => Number(lastLoss(dir)).toFixed(4)), 'training losses');
console.log('training losses agree:', shown.join(' '));

const losses = async () => (await page.locator('#runs tbody tr td:nth-child(4)').allTextContents()).map(Number);
await page.click('#runs thead th:nth-child(4)');
assert.deepEqual(await losses(), (await losses()).toSorted((a, b) => a - b), 'sorted');
await page.click('#runs thead th:nth-child(4)');
assert.deepEqual(await losses(), (await losses()).toSorted((a, b) => b - a), 'sorted the other way round');
console.log('sorted both ways');

const chart = page.locator('[data-chart="train/loss"]');
assert.equal(await chart.locator('.chip').count(), runs.length);
await page.locator('.names input').first().click();
await page.waitForFunction(n => document.querySelectorAll('[data-chart="train/loss"] .chip').length === n, runs.length - 1);
await page.locator('.names input').first().click();
await page.selectOption('.bar select', 'tokens');
await page.evaluate(() => new Promise(done => setTimeout(done, 300))); // the charts are made anew
const area = await chart.locator('.u-over').boundingBox();
await page.mouse.move(area.x + area.width * 0.4, area.y + 40);
await page.mouse.down();
await page.mouse.move(area.x + area.width * 0.8, area.y + 60, { steps: 4 });
await page.mouse.up();
await page.locator('text=Reset zoom').click();
await page.locator('text=Reset zoom').waitFor({ state: 'hidden' });
console.log('a run hidden and shown, another axis, zoomed and back');

const steps = page.locator('#texts select');
if (await steps.count() > 0) {
  const last = await page.locator('.text').first().textContent();
  await steps.selectOption({ index: await steps.locator('option').count() - 1 });
  assert.notEqual(await page.locator('.text').first().textContent(), last, 'samples of another step');
  console.log('samples of the first step and of the last');
}

await (await open({ viewport: { width: 1400, height: 900 }, colorScheme: 'dark' })).screenshot({ path: path.join(pictures, 'dark.png') });
await (await open({ viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, hasTouch: true, isMobile: true, locale: 'pt-BR' }))
  .screenshot({ path: path.join(pictures, 'telephone.png') });
console.log('dark, and on a telephone in Portuguese');
await browser.close();
