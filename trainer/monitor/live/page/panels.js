// panels.js is what stands around the charts of the live page: figures, the list of runs, samples, the configuration.
'use strict';

const panels = (() => {
  const { element, format, text } = frugal;
  const byId = id => document.getElementById(id);
  const small = content => element('small', {}, content);

  // figure is one term and its value in the header.
  function figure(term, ...value) {
    return element('div', {}, element('dt', {}, text(term)), element('dd', {}, ...value));
  }

  const states = { started: 'running', complete: 'complete', stopped: 'stopped', lost: 'connection lost', interrupted: 'interrupted', connecting: 'connecting', loading: 'loading' };

  // showHead writes the header for a run; state is one of states.
  function showHead(run, state) {
    document.title = `${run.start && run.start.total_steps ? `${percentDone(run)}% · ` : ''}${run.name} · frugal`;
    byId('name').textContent = run.name;
    byId('status').textContent = text(states[state]);
    byId('status').className = `status ${state}`;
    const start = run.start ?? {};
    byId('about').textContent = [start.device, start.precision, start.parameters && `${format.short(start.parameters)} ${text('parameters')}`].filter(Boolean).join(' · ');
    const percent = percentDone(run);
    byId('bar').className = `bar ${run.status}`;
    byId('bar').setAttribute('aria-valuenow', percent);
    byId('bar').firstElementChild.style.width = `${percent}%`;
    byId('reason').hidden = !run.reason;
    byId('reason').textContent = run.reason;
    byId('figures').replaceChildren(...figures(run, state));
  }

  const percentDone = run => Math.floor(Math.min(100, 100 * run.step / (run.start?.total_steps || Infinity)));

  function figures(run, state) {
    const total = run.start?.total_steps, list = [];
    list.push(figure('Step', format.count(run.step), ...(total ? [small(` / ${format.count(total)}`)] : [])));
    const left = run.secondsLeft();
    if (run.status !== 'started') {
      list.push(figure('Took', format.duration(run.elapsed)));
    } else if (left !== undefined) {
      const now = state === 'started' ? Math.max(0, left - (Date.now() - run.time) / 1000) : left;
      list.push(figure('Time left', now === 0 ? '…' : now < 9.5 ? `${Math.ceil(now)}s` : format.duration(now)));
    }
    const add = (term, tag, write, note) => {
      const value = run.last(tag);
      if (value !== undefined) list.push(figure(term, write(value), ...(note ? [small(note)] : [])));
    };
    const value = x => (Number.isFinite(x) ? x.toFixed(x < 100 ? 4 : 1) : format.value(x));
    add('Loss', 'train/loss', value);
    add('Task loss', 'train/task_loss', value);
    add('Distillation loss', 'train/distillation_loss', value);
    add('Evaluation', 'eval/loss', value);
    add('Perplexity', 'eval/perplexity', format.value.bind(format));
    add('Bits per byte', 'eval/bits_per_byte', x => (Number.isFinite(x) ? x.toFixed(3) : format.value(x)));
    add('Speed', 'train/tokens_per_second', x => format.count(x), ' tokens/s');
    const save = run.saves.at(-1);
    if (save) list.push(figure('Last checkpoint', small(`${text('at step')} `), format.count(save.step)));
    return list;
  }

  // ago is how long it is since a moment, as a person says it.
  function ago(milliseconds) {
    const seconds = Math.max(0, milliseconds / 1000);
    if (seconds < 5) return text('just now');
    const [rough] = /^\d+[dhms]/.exec(format.duration(Math.max(10, seconds)));
    return frugal.language === 'pt-BR' ? `há ${rough}` : `${rough} ${text('ago')}`;
  }

  // stateOf judges a run by the list's entry: one that has not ended and has long been silent was interrupted.
  function stateOf(info, now) {
    if (info.status) return info.status;
    return now - info.modified < 5 * 60e3 ? 'started' : 'interrupted';
  }

  // showRuns writes the list with a box for each run. chosen: Set of ids; colorOf(id): a CSS colour or ''.
  function showRuns({ now, runs }, chosen, colorOf, choose) {
    const panel = byId('runs'), list = panel.lastElementChild;
    panel.hidden = runs.length < 2;
    panel.firstElementChild.replaceChildren(`${text('Runs')} `, small(`${chosen.size} ${text('of')} ${runs.length}`));
    if (!list.firstChild) {
      const search = element('input', { type: 'search', placeholder: text('Search'), ariaLabel: text('Search') });
      search.addEventListener('input', () => filterRows(list.lastElementChild, search.value));
      list.append(element('div', { className: 'tools' }, search), element('div', { className: 'run-list' }));
    }
    list.firstElementChild.hidden = runs.length < 9;
    const scrolled = list.lastElementChild.scrollTop, focused = document.activeElement?.value;
    list.lastElementChild.replaceChildren(...runs.map(info => {
      const box = element('input', { type: 'checkbox', checked: chosen.has(info.id), value: info.id });
      box.addEventListener('change', () => choose(info.id, box.checked));
      const swatch = element('i');
      swatch.style.background = chosen.has(info.id) && chosen.size > 1 ? colorOf(info.id) : '';
      const state = stateOf(info, now);
      const note = info.own ? text('this run') : `${text(states[state])} · ${ago(now - info.modified)}`;
      return element('label', { title: info.name }, box, swatch, element('span', {}, info.name), small(note));
    }));
    filterRows(list.lastElementChild, list.querySelector('input[type=search]').value);
    list.lastElementChild.scrollTop = scrolled;
    if (focused) [...list.querySelectorAll('input[type=checkbox]')].find(box => box.value === focused)?.focus();
  }

  function filterRows(parent, wanted) {
    const words = wanted.toLowerCase().split(/\s+/).filter(Boolean);
    for (const row of parent.children) row.hidden = !words.every(word => row.textContent.toLowerCase().includes(word));
  }

  // showMemory writes what the runs' peaks consist of.
  function showMemory(runs) {
    const rows = runs.map(run => ({ name: run.name, kinds: frugal.kindsOf(run) })).filter(row => row.kinds);
    byId('memory').hidden = rows.length === 0;
    if (rows.length === 0) return;
    byId('memory').replaceChildren(element('h2', {}, `${text('Peak memory')} `, small(text('by kind'))), frugal.memoryBars(rows));
  }

  let shownSamples = 6, chosenPrompt = '';

  // showSamples writes what the models wrote, the newest first.
  function showSamples(runs) {
    const panel = byId('samples');
    const all = runs.flatMap(run => run.samples.map(sample => ({ run, ...sample })));
    panel.hidden = all.length === 0;
    if (panel.hidden) return;
    const prompts = [...new Set(all.map(sample => sample.prompt ?? ''))];
    if (!prompts.includes(chosenPrompt)) chosenPrompt = '';
    const samples = all.filter(sample => !chosenPrompt || sample.prompt === chosenPrompt);
    samples.sort((a, b) => b.step - a.step || a.prompt_index - b.prompt_index || a.sample_index - b.sample_index);
    const head = element('header', {}, element('h2', {}, `${text('Samples')} `, small(String(samples.length))));
    if (prompts.length > 1) head.append(promptMenu(prompts, runs));
    const shown = samples.slice(0, shownSamples).map(sample => sampleText(sample, runs.length > 1));
    panel.replaceChildren(head, ...shown);
    if (samples.length > shownSamples) {
      const more = element('button', { type: 'button', className: 'toggle more' }, `${text('older')} (${samples.length - shownSamples})`);
      more.addEventListener('click', () => {
        shownSamples += 12;
        showSamples(runs);
      });
      panel.append(more);
    }
  }

  function promptMenu(prompts, runs) {
    const name = prompt => (prompt.length > 60 ? `${prompt.slice(0, 60)}…` : prompt) || text('(no prompt)');
    const menu = element('select', { ariaLabel: text('Samples') }, element('option', { value: '' }, text('all prompts')),
      ...prompts.filter(Boolean).map(prompt => element('option', { value: prompt, selected: prompt === chosenPrompt }, name(prompt))));
    menu.addEventListener('change', () => {
      chosenPrompt = menu.value;
      showSamples(runs);
    });
    return menu;
  }

  function sampleText({ run, step, prompt = '', text: written = '' }, several) {
    const where = `${text('step')} ${format.count(step)}${several ? ` · ${run.name}` : ''}`;
    // A sample may or may not repeat its prompt.
    const rest = written.startsWith(prompt) ? written.slice(prompt.length) : written;
    return element('article', { className: 'sample' }, small(where), element('p', {}, element('span', { className: 'prompt' }, prompt), rest));
  }

  const write = value => (value === undefined ? '–' : typeof value === 'string' ? (value === '' ? '""' : value) : JSON.stringify(value));

  // showConfig writes the runs' configurations side by side, keys as in a configuration file.
  function showConfig(runs) {
    const panel = byId('config'), body = panel.lastElementChild;
    const flat = runs.map(run => run.flatConfig());
    panel.hidden = flat.every(config => config.size === 0);
    panel.firstElementChild.replaceChildren(text('Configuration'));
    const wanted = body.querySelector('input[type=search]')?.value ?? '', onlyDiffers = body.querySelector('input[type=checkbox]')?.checked ?? false;
    const search = element('input', { type: 'search', placeholder: text('Search'), ariaLabel: text('Search'), value: wanted });
    const differs = element('input', { type: 'checkbox', checked: onlyDiffers && runs.length > 1 });
    const rows = [...new Set(flat.flatMap(config => [...config.keys()]))].sort().map(key => {
      const values = flat.map(config => write(config.get(key)));
      const row = element('tr', { className: values.some(value => value !== values[0]) ? 'differs' : '' }, element('th', { scope: 'row' }, key), ...values.map(value => element('td', {}, value)));
      return row;
    });
    const table = element('tbody', {}, ...rows);
    const filter = () => {
      filterRows(table, search.value);
      if (differs.checked) for (const row of rows) row.hidden ||= !row.classList.contains('differs');
    };
    search.addEventListener('input', filter);
    differs.addEventListener('change', filter);
    const tools = element('div', { className: 'tools' }, search);
    if (runs.length > 1) tools.append(element('label', {}, differs, text('only what differs')));
    const head = runs.length > 1 ? [element('thead', {}, element('tr', {}, element('th', {}, text('key')), ...runs.map(run => element('th', {}, run.name))))] : [];
    body.replaceChildren(tools, element('div', { className: 'table' }, element('table', {}, ...head, table)));
    filter();
  }

  return { showHead, showRuns, showMemory, showSamples, showConfig };
})();
