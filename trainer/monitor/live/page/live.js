// live.js keeps the live page fed: it chooses runs, follows them over server-sent events, and has the panels and charts drawn.
'use strict';

(() => {
  const { element, text } = frugal;
  const silence = 40e3, listEvery = 10e3; // milliseconds; the server gives a sign of life each 15 seconds

  const runs = new Map();     // id → Run of all that were chosen once
  let list = { now: 0, runs: [] };
  let chosen = new Set();     // ids, the page's own run included
  let source = null;          // the EventSource
  let position = [];          // where it stands in the files of followed
  let followed = [];          // ids, in the stream's order
  let connection = 'connecting', heard = 0, pause = 1000, retry = 0;

  if (location.search) history.replaceState(null, '', location.pathname); // the token is in a cookie now
  document.documentElement.lang = frugal.language;

  const settings = { x: frugal.recall('x', 'step'), smoothing: Number(frugal.recall('smoothing', '0.6')) };
  const reset = element('button', { type: 'button', className: 'toggle', hidden: true, title: text('Reset zoom') }, '⟲', element('span', { className: 'word' }, ` ${text('Reset zoom')}`));
  const charts = frugal.drawCharts(document.getElementById('charts'), { ...settings, onZoom: zoomed => { reset.hidden = !zoomed; } });
  reset.addEventListener('click', () => charts.zoom(null));

  const ownRun = () => runs.get(list.runs[0]?.id);
  const shownRuns = () => [...chosen].map(id => runs.get(id)).filter(Boolean);

  // drawSoon draws at most once a frame, and not at all while the page is hidden: the browser holds frames back.
  let due = 0, drawnMemory = '', drawnSamples = '', drawnConfig = '';
  function drawSoon() {
    due ||= requestAnimationFrame(() => {
      due = 0;
      draw();
    });
  }

  function draw() {
    const own = ownRun();
    if (!own) return;
    const shown = shownRuns();
    panels.showHead(own, stateOfOwn(own));
    const memory = shown.map(run => `${run.id} ${frugal.kindsOf(run)}`).join();
    if (memory !== drawnMemory) panels.showMemory(shown);
    const samples = shown.map(run => `${run.id} ${run.samples.length} ${run.samples.at(-1)?.step}`).join();
    if (samples !== drawnSamples) panels.showSamples(shown);
    const config = shown.map(run => `${run.id} ${run.start?.time}`).join();
    if (config !== drawnConfig) panels.showConfig(shown);
    [drawnMemory, drawnSamples, drawnConfig] = [memory, samples, config];
  }

  function stateOfOwn(run) {
    if (run.status === 'complete' || run.status === 'stopped') return run.status;
    return connection === 'open' && run.status ? run.status : connection === 'lost' ? 'lost' : run.status ? 'loading' : 'connecting';
  }

  function drawList() {
    panels.showRuns(list, chosen, id => (runs.has(id) ? charts.colorOf(runs.get(id)) : ''), choose);
  }

  function choose(id, on) {
    if (on) chosen.add(id);
    else if (chosen.size > 1) chosen.delete(id);
    if (on && !runs.has(id)) runs.set(id, new frugal.Run(id, list.runs.find(info => info.id === id).name));
    charts.show(shownRuns());
    drawList();
    drawSoon();
    follow();
  }

  // follow opens the stream for the chosen runs and this page's own, each from where the page stands in its file.
  function follow() {
    clearTimeout(retry);
    source?.close();
    const places = new Map(followed.map((id, i) => [id, position[i] ?? '0']));
    kept = new Map([...kept, ...places]);
    followed = [...new Set([list.runs[0].id, ...chosen])];
    position = followed.map(id => kept.get(id) ?? '0');
    const query = new URLSearchParams(followed.map(id => ['run', id]));
    query.set('after', position.join());
    source = new EventSource(`events?${query}`);
    heard = Date.now();
    source.addEventListener('open', () => { heard = Date.now(); });
    source.addEventListener('lines', takeLines);
    source.addEventListener('ready', () => connected('open'));
    source.addEventListener('beat', () => connected('open'));
    source.addEventListener('over', () => {
      source.close();
      connected('over');
      later(10e3);
    });
    source.addEventListener('error', () => {
      const closed = source.readyState === EventSource.CLOSED; // refused; otherwise the browser tries again by itself
      if (connection !== 'over') connected('lost');
      if (closed) later(pause = Math.min(30e3, pause * 1.5));
    });
  }
  let kept = new Map(); // positions in files that are not followed at present

  function takeLines(event) {
    const end = event.data.indexOf('\n');
    const [id, reset] = (end < 0 ? event.data : event.data.slice(0, end)).split(' ');
    const run = runs.get(id);
    position = event.lastEventId.split(',');
    heard = Date.now();
    if (reset) run.clear();
    if (end >= 0) run.addLines(event.data.slice(end + 1));
    charts.update();
    drawSoon();
  }

  function connected(state) {
    heard = Date.now();
    if (state === 'open') pause = 1000;
    connection = state;
    drawSoon();
  }

  // later begins anew after a while: the server was gone, or refused. A new one may know other runs.
  function later(after) {
    clearTimeout(retry);
    retry = setTimeout(async () => {
      if (await refresh()) follow();
      else later(pause = Math.min(30e3, pause * 1.5));
    }, after);
  }

  // refresh asks for the list of runs; false where nobody answers.
  async function refresh() {
    try {
      const answer = await fetch('runs');
      if (!answer.ok) return false;
      list = await answer.json();
    } catch {
      return false;
    }
    const own = list.runs[0];
    if (!runs.has(own.id)) runs.set(own.id, new frugal.Run(own.id, own.name));
    const known = new Set(list.runs.map(info => info.id));
    const before = [...chosen].join();
    chosen = new Set([...chosen].filter(id => known.has(id)));
    if (chosen.size === 0) chosen.add(own.id);
    if ([...chosen].join() !== before) charts.show(shownRuns());
    drawList();
    return true;
  }

  function controls() {
    const axis = element('span', { className: 'segments', role: 'group', ariaLabel: text('Axis') }, ...['step', 'tokens', 'time'].map(x => {
      const button = element('button', { type: 'button', className: 'toggle', value: x }, text(x));
      button.addEventListener('click', () => {
        settings.x = x;
        frugal.remember('x', x);
        charts.set({ x });
        mark();
      });
      return button;
    }));
    const mark = () => axis.childNodes.forEach(button => button.setAttribute('aria-pressed', String(button.value === settings.x)));
    mark();
    const slider = element('input', { type: 'range', min: 0, max: 0.99, step: 0.01, value: settings.smoothing, id: 'smoothing' });
    const output = element('output', {}, settings.smoothing.toFixed(2));
    slider.addEventListener('input', () => {
      settings.smoothing = Number(slider.value);
      output.textContent = settings.smoothing.toFixed(2);
      frugal.remember('smoothing', slider.value);
      charts.set({ smoothing: settings.smoothing });
    });
    document.getElementById('controls').append(axis,
      element('label', {}, element('span', { className: 'word' }, text('Smoothing')), slider, output), reset, frugal.themeButton());
    const hint = matchMedia('(pointer: coarse)').matches ? 'Pinch to zoom, tap twice to go back.' : 'Drag to zoom, double-click to go back.';
    document.getElementById('charts').after(element('p', { className: 'hint' }, text(hint)));
  }

  controls();
  later(0);
  setInterval(() => {
    if (connection === 'open' && Date.now() - heard > silence) { // asleep, or half of the connection is gone
      connected('lost');
      follow();
    }
    drawSoon(); // the time left runs on
  }, 1000);
  setInterval(() => { if (connection === 'open' && !document.hidden) refresh(); }, listEvery);
  addEventListener('frugal-theme', () => { if (list.runs.length) drawList(); });
})();
