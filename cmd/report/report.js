
// report.js puts the charts, the samples and the sorting into a report. What it draws from is the JSON in #data (data.go).
'use strict';

(() => {
  const portuguese = {
    'run': 'treino', 'runs': 'treinos', 'status': 'estado', 'steps': 'passos', 'training loss': 'perda de treino',
    'evaluation loss, last': 'perda de avaliação, última', 'evaluation loss, best': 'perda de avaliação, melhor',
    'task loss': 'perda da tarefa', 'distillation loss': 'perda da destilação', 'perplexity': 'perplexidade', 'bits per byte': 'bits por byte', 'tokens/s, median': 'tokens/s, mediana',
    'peak memory': 'pico de memória', 'time': 'tempo', 'tokens': 'tokens', 'parameters': 'parâmetros', 'device': 'dispositivo',
    'precision': 'precisão', 'threads': 'threads', 'failed': 'falhou', 'What differs': 'O que difere', 'Curves': 'Curvas',
    'Pale: the value that the key has when nothing sets it. output_dir, logging_dir and resume are left out.':
      'Claro: o valor que a chave tem quando nada a define. output_dir, logging_dir e resume ficam de fora.',
    'Nothing but the places where the files lie.': 'Nada além dos lugares onde os arquivos ficam.',
    'Pale: the value that a key has when nothing sets it.': 'Claro: o valor que uma chave tem quando nada a define.',
    'The whole configuration': 'A configuração inteira', 'What all have in common': 'O que todos têm em comum', 'last': 'último', 'at step': 'no passo',
    'Training loss': 'Perda de treino', 'Evaluation loss': 'Perda de avaliação',
    'stopped without a word: killed, or still running on another machine':
      'parou sem dizer nada: foi morto, ou ainda roda em outra máquina',
    'still running when this page was made; last heard of at': 'ainda treinando quando esta página foi feita; últimas notícias:',
    'resumed; the pauses do not count in its time. Sessions:': 'retomado; as pausas não contam no seu tempo. Sessões:',
    'changed on a resume:': 'mudou ao retomar:',
    'damaged lines of its metrics.jsonl, passed over:': 'linhas danificadas do seu metrics.jsonl, ignoradas:',
    'Long curves are drawn from the lowest and the highest value of each stretch, smoothed ones from its mean; of many samples some are kept. The tables count every line.':
      'Curvas longas são desenhadas do menor e do maior valor de cada trecho, as suavizadas da sua média; de muitas amostras ficam algumas. As tabelas contam todas as linhas.',
    'up to step': 'até o passo', '(no prompt)': '(sem prompt)', 'none yet': 'nenhuma ainda',
  };
  const titles = { 'train/loss': 'Training loss', 'eval/loss': 'Evaluation loss', 'train/task_loss': 'Task loss', 'train/distillation_loss': 'Distillation loss' };
  const { element } = frugal;
  const text = english => (frugal.language === 'pt-BR' && portuguese[english]) || frugal.text(english);
  const data = JSON.parse(document.getElementById('data').textContent);

  // A Run is what charts.js asks of a frugal.Run, over curves of few points.
  class Run {
    constructor({ name, steps, curves, clock }, id) {
      Object.assign(this, { id: String(id), name, curves: new Map(curves.map(curve => [curve.tag, curve])), clock });
      this.axes = steps.map(step => ({ step, tokens: step.map(s => this.at(s, clock.tokens)), time: step.map(s => this.at(s, clock.seconds)) }));
      this.tables = { train: this.ends('train/'), eval: this.ends('eval/') };
    }

    // at gives tokens or seconds at a step: they rise evenly between the points of the clock.
    at(step, values) {
      const steps = this.clock.step, last = steps.length - 1;
      if (last < 1) return 0;
      let low = 0, high = last;
      while (high - low > 1) {
        const middle = (low + high) >> 1;
        if (steps[middle] <= step) low = middle;
        else high = middle;
      }
      return values[low] + (values[high] - values[low]) * (step - steps[low]) / (steps[high] - steps[low]);
    }

    // ends are the first and last places of an event's curves: how far the axes go.
    ends(event) {
      const of = axis => {
        const all = this.tags().filter(tag => tag.startsWith(event)).map(tag => this.series(tag)[axis]).filter(xs => xs.length > 0);
        return all.length === 0 ? [] : [Math.min(...all.map(xs => xs[0])), Math.max(...all.map(xs => xs[xs.length - 1]))];
      };
      return { step: of('step'), tokens: of('tokens'), time: of('time') };
    }

    tags() {
      return [...this.curves.keys()];
    }

    series(tag) {
      const curve = this.curves.get(tag);
      if (!curve) return null;
      curve.value ??= curve.values.map(frugal.number);
      return { ...this.axes[curve.steps], value: curve.value, mean: curve.means?.map(frugal.number) };
    }
  }

  const runs = data.runs.map((run, i) => new Run(run, i));

  for (const node of document.querySelectorAll('[data-t], #differences tr:first-child th:first-child')) node.textContent = text(node.textContent);
  document.documentElement.lang = frugal.language;
  document.getElementById('theme').append(frugal.themeButton());

  // The bar above the charts.
  const reset = element('button', { type: 'button', className: 'toggle', hidden: true }, text('Reset zoom'));
  // Of several runs, training and evaluation, and the parts of a loss, are easier to tell apart in charts of their own.
  const [loss, parts, ...others] = [...frugal.charts, ...frugal.moreCharts(frugal.charts, runs)];
  const apart = [loss, parts].flatMap(chart => chart.series.map(series => (
    { ...chart, key: series.tag, title: text(titles[series.tag]), wide: false, series: [series] })));
  const group = frugal.drawCharts(document.getElementById('charts'), {
    charts: runs.length > 1 ? [...apart, ...others] : [loss, parts, ...others], smoothing: data.smoothing, onZoom: zoomed => { reset.hidden = !zoomed; },
  });
  reset.addEventListener('click', () => group.zoom(null));

  const axis = element('select', {}, ...['step', 'tokens', 'time'].map(x => element('option', { value: x }, text(x))));
  axis.addEventListener('change', () => group.set({ x: axis.value }));

  const amount = element('output', {}, String(data.smoothing));
  const slider = element('input', { type: 'range', min: 0, max: 0.999, step: 0.001, value: data.smoothing });
  slider.addEventListener('input', () => {
    amount.textContent = String(Number(slider.value));
    group.set({ smoothing: Number(slider.value) });
  });

  // What the peaks of memory consist of, of the runs that are shown and tell.
  const memory = document.getElementById('memory');
  const drawMemory = () => {
    const rows = runs.flatMap((run, i) => {
      const kinds = data.runs[i].memory;
      return kinds && shown.has(run) ? [{ name: run.name, kinds: kinds.map(({ kind, bytes }) => [kind, bytes]) }] : [];
    });
    memory.hidden = rows.length === 0;
    if (rows.length > 0) memory.lastElementChild.replaceChildren(frugal.memoryBars(rows));
  };

  // A run has one colour in the table, the bar and the curves, whichever are shown.
  const shown = new Set(runs);
  const showRuns = () => {
    runs.forEach((run, i) => group.slots.set(run.id, i));
    group.show(runs.filter(run => shown.has(run)));
    drawMemory();
  };
  const boxes = runs.map(run => {
    const box = element('input', { type: 'checkbox', checked: true });
    box.addEventListener('change', () => {
      if (box.checked) shown.add(run);
      else shown.delete(run);
      showRuns();
      drawSamples();
    });
    return element('label', {}, box, element('span', {}, run.name));
  });
  document.getElementById('bar').append(
    element('label', {}, text('Axis'), axis), element('label', {}, text('Smoothing'), slider, amount), reset,
    element('span', { className: 'dim' }, text(matchMedia('(pointer: coarse)').matches ?
      'Pinch to zoom, tap twice to go back.' : 'Drag to zoom, double-click to go back.')),
    ...(runs.length > 1 ? [element('div', { className: 'names' }, ...boxes)] : []));

  const rows = [...document.querySelectorAll('#runs tbody tr')];
  const paint = () => runs.forEach((run, i) => {
    const color = group.color(i);
    rows[i].querySelector('.swatch').style.color = color;
    boxes[i].style.setProperty('--own', color);
  });
  showRuns();
  paint();
  addEventListener('frugal-theme', paint);

  // Paper is light.
  const root = document.documentElement;
  let screen = root.dataset.theme;
  const wear = theme => {
    root.dataset.theme = theme;
    dispatchEvent(new Event('frugal-theme'));
  };
  addEventListener('beforeprint', () => {
    screen = root.dataset.theme;
    wear('light');
  });
  addEventListener('afterprint', () => wear(screen));

  // Sorting: a click on a column's head, once more the other way round.
  const valueOf = (row, i) => row.children[i].dataset.sort ?? row.children[i].textContent;
  const compare = (a, b) => {
    const x = Number(a), y = Number(b);
    return Number.isFinite(x) && Number.isFinite(y) ? x - y : Number.isFinite(y) - Number.isFinite(x) || a.localeCompare(b);
  };
  for (const table of document.querySelectorAll('table.sortable')) {
    const body = table.tBodies[0], heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, i) => {
      if (body.rows[0]?.children[i].classList.contains('number')) head.classList.add('number');
      head.addEventListener('click', () => {
        const down = head.getAttribute('aria-sort') === 'ascending';
        heads.forEach(other => other.removeAttribute('aria-sort'));
        head.setAttribute('aria-sort', down ? 'descending' : 'ascending');
        const sorted = [...body.rows].sort((a, b) => compare(valueOf(a, i), valueOf(b, i)) * (down ? -1 : 1));
        body.append(...sorted);
      });
    });
  }

  // Samples: by prompt, a column a run, at a step or the last.
  const texts = document.getElementById('texts');
  const sampleSteps = [...new Set(data.runs.flatMap(run => run.samples.map(s => s.step)))].sort((a, b) => b - a);
  const chosen = element('select', {}, element('option', { value: '' }, text('last')),
    ...sampleSteps.map(step => element('option', { value: step }, `${text('up to step')} ${frugal.format.count(step)}`)));
  const columns = element('div');

  function column(run, samples) {
    const step = samples.length > 0 ? samples[0].step : null;
    const heading = element('h4', {}, runs.length > 1 ? `${run.name} ` : '',
      element('small', {}, step === null ? text('none yet') : `${text('at step')} ${frugal.format.count(step)}`));
    const color = group.color(runs.indexOf(run));
    const node = element('div', { className: 'text' }, heading, ...samples.map(sample => {
      const continued = sample.prompt !== '' && sample.text.startsWith(sample.prompt);
      return element('p', {}, ...(continued ? [element('mark', {}, sample.prompt), sample.text.slice(sample.prompt.length)] : [sample.text]));
    }));
    node.style.borderTop = `3px solid ${color}`;
    return node;
  }

  function drawSamples() {
    if (!texts) return;
    const limit = chosen.value === '' ? Infinity : Number(chosen.value);
    const prompts = [...new Set(data.runs.flatMap(run => run.samples.map(s => s.prompt)))];
    columns.replaceChildren(...prompts.map(prompt => {
      const parts = runs.flatMap((run, i) => {
        if (!shown.has(run)) return [];
        const before = data.runs[i].samples.filter(s => s.prompt === prompt && s.step <= limit);
        const step = Math.max(...before.map(s => s.step));
        return [column(run, before.filter(s => s.step === step))];
      });
      return element('div', { className: 'prompt' }, element('h3', {}, prompt === '' ? text('(no prompt)') : prompt), element('div', { className: 'texts' }, ...parts));
    }));
  }
  if (texts) {
    chosen.addEventListener('change', drawSamples);
    addEventListener('frugal-theme', drawSamples);
    texts.append(element('label', {}, chosen), columns);
    drawSamples();
  }
})();
