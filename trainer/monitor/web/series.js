// series.js prepares series for drawing: smoothing, one x axis for several series, and the charts that there are.
'use strict';

(() => {
  // smooth is TensorBoard's: an exponential moving average whose start is debiased. Values that are not finite are passed
  // on and leave no trace in the average; a series of equal values stays as it is.
  frugal.smooth = (values, weight) => {
    const smoothed = new Array(values.length);
    let last = 0, debias = 1;
    for (let i = 0; i < values.length; i++) {
      const value = values[i];
      if (value === null || !Number.isFinite(value)) {
        smoothed[i] = value;
        continue;
      }
      last = last * weight + (1 - weight) * value;
      debias *= weight;
      smoothed[i] = last / (1 - debias);
    }
    return smoothed;
  };

  // align puts series with ascending x of their own on the union of these; uPlot passes over undefined, where a series has none.
  frugal.align = series => {
    const first = series[0]?.x ?? [];
    if (series.every(s => s.x === first)) return [first, ...series.map(s => s.y)];
    const at = series.map(() => 0);
    const xs = [], ys = series.map(() => []);
    for (;;) {
      let x = Infinity;
      for (let i = 0; i < series.length; i++) {
        if (at[i] < series[i].x.length) x = Math.min(x, series[i].x[at[i]]);
      }
      if (x === Infinity) return [xs, ...ys];
      xs.push(x);
      for (let i = 0; i < series.length; i++) {
        let y;
        while (at[i] < series[i].x.length && series[i].x[at[i]] <= x) y = series[i].y[at[i]++];
        ys[i].push(y);
      }
    }
  };

  // nearest is the index of the value of ascending xs that is closest to x, −1 if there is none.
  frugal.nearest = (xs, x) => {
    let low = 0, high = xs.length - 1;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (xs[middle] < x) low = middle;
      else high = middle;
    }
    return high > low && xs[high] - x < x - xs[low] ? high : Math.min(low, high);
  };

  // logTicks are at most count round values from min to max, about evenly apart on a logarithmic axis.
  frugal.logTicks = (min, max, count) => {
    if (max < 1.6 * min) { // hardly different from a linear axis
      const unit = 10 ** Math.floor(Math.log10((max - min) / count));
      const step = unit * [1, 2, 5, 10].find(n => (max - min) / (n * unit) <= count), from = Math.ceil(min / step);
      return Array.from({ length: Math.floor(max / step) - from + 1 }, (_, i) => Number(((from + i) * step).toPrecision(12)));
    }
    const mantissas = [[1, 1.2, 1.4, 1.6, 1.8, 2, 2.5, 3, 3.5, 4, 5, 6, 7, 8, 9], [1, 1.5, 2, 3, 4, 5, 7], [1, 2, 3, 5], [1, 2, 5], [1, 3], [1]];
    const first = Math.floor(Math.log10(min)), decades = Math.ceil(Math.log10(max)) - first + 1;
    for (let skip = 1; ; skip++) { // where decades are many, only each second one, …
      for (const set of skip === 1 ? mantissas : [[1]]) {
        const ticks = [];
        for (let i = 0; i < decades; i += skip) ticks.push(...set.map(m => Number(`${m}e${first + i}`)));
        const inside = ticks.filter(tick => tick >= min && tick <= max);
        if (inside.length <= count && inside.length > 1) return inside;
      }
      if (skip > decades) return [min, max].map(x => Number(x.toPrecision(3)));
    }
  };

  // The charts, in the order in which they are drawn; one without data is not shown. kind: line (thin, with the smoothed one
  // over it), plain (never smoothed), dashes, points (joined by a line), or stack (shares, one on the other; the tag ends in /*).
  const format = frugal.format;
  frugal.charts = [
    { key: 'loss', title: 'Loss', log: true, wide: true, series: [
      { tag: 'train/loss', label: 'train', kind: 'line' }, { tag: 'eval/loss', label: 'evaluation', kind: 'points' }] },
    { key: 'losses_apart', title: 'Task and distillation loss', log: true, series: [
      { tag: 'train/task_loss', label: 'task', kind: 'line' }, { tag: 'train/distillation_loss', label: 'distillation', kind: 'line' }] },
    { key: 'bits_per_byte', title: 'Bits per byte', log: true, series: [{ tag: 'eval/bits_per_byte', label: 'evaluation', kind: 'points' }] },
    { key: 'learning_rate', title: 'Learning rate', zero: true, format: x => format.exponent(x), series: [{ tag: 'train/learning_rate', kind: 'plain' }] },
    { key: 'grad_norm', title: 'Gradient norm', log: true, series: [{ tag: 'train/grad_norm', kind: 'line' }] },
    { key: 'loss_scale', title: 'Loss scale', log: true, format: x => format.count(x), series: [{ tag: 'train/loss_scale', kind: 'plain' }] },
    { key: 'speed', title: 'Speed', unit: 'tokens/s', zero: true, format: x => format.short(x), series: [{ tag: 'train/tokens_per_second', kind: 'line' }] },
    { key: 'memory', title: 'Memory', zero: true, bytes: true, format: x => format.bytes(x), series: [
      { tag: 'train/resident_memory_bytes', label: 'resident', kind: 'plain' },
      { tag: 'train/allocated_memory_bytes', label: 'allocated', kind: 'plain' },
      { tag: 'train/reserved_memory_bytes', label: 'reserved', kind: 'dashes' },
      { tag: 'train/gpu_memory_used_bytes', label: 'whole card', kind: 'dashes' },
      { tag: 'train/peak_memory_bytes', label: 'peak', kind: 'dashes' }] },
    { key: 'utilisation', title: 'Utilisation', zero: true, format: x => format.percent(x), series: [
      { tag: 'train/cpu_percent', label: 'CPU', kind: 'line' }, { tag: 'train/gpu_utilization', label: 'GPU', kind: 'line' }] },
    { key: 'temperature', title: 'Temperature', unit: '°C', zero: true, format: x => format.count(x), series: [{ tag: 'train/gpu_temperature_celsius', kind: 'plain' }] },
    { key: 'power', title: 'Power', unit: 'W', zero: true, format: x => format.count(x), series: [{ tag: 'train/gpu_power_watts', kind: 'line' }] },
    { key: 'data_wait', title: 'Waiting for data, a step', unit: 's', zero: true, format: x => format.short(x), series: [{ tag: 'train/data_wait_seconds', kind: 'line' }] },
    { key: 'curriculum_weights', title: 'Curriculum, planned', share: true, series: [{ tag: 'train/curriculum_weights/*', kind: 'stack' }] },
    { key: 'curriculum_drawn', title: 'Curriculum, drawn', share: true, series: [{ tag: 'train/curriculum_drawn/*', kind: 'stack' }] },
  ];

  // What the table above does not know gets a chart of its own, named after the field: a new figure shows up by itself.
  const elsewhere = new Set(['epoch', 'tokens', 'step_seconds', 'seconds', 'skipped_updates', 'perplexity']);
  frugal.moreCharts = (charts, runs) => {
    const known = new Set(charts.flatMap(chart => chart.series.map(s => s.tag)));
    const more = new Map();
    for (const tag of runs.flatMap(run => run.tags())) {
      const [event, field, ...nested] = tag.split('/');
      if (known.has(tag) || nested.length > 0 || event === 'epoch' || elsewhere.has(field)) continue;
      const bytes = field.endsWith('_bytes');
      const chart = more.get(field) ?? { key: field, title: field, bytes, format: bytes ? x => format.bytes(x) : undefined, series: [] };
      if (!chart.series.some(s => s.tag === tag)) {
        chart.series.push(event === 'eval' ? { tag, label: 'evaluation', kind: 'points' } : { tag, label: 'train', kind: 'line' });
      }
      more.set(field, chart);
    }
    return [...more.values()];
  };
})();
