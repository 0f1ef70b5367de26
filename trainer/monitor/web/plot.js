// plot.js is one chart on its card: title, legend with the values under the cursor, and the drawing by uPlot.
'use strict';

(() => {
  const { element, format, text } = frugal;
  const font = '11px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif';
  const seconds = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 432000, 864000, 1728000, 8640000];
  const binary = Array.from({ length: 50 }, (_, i) => 2 ** i);
  const xTick = {
    step: (x, most) => (most < 1e5 ? format.count(x) : format.short(x)),
    tokens: format.short,
    time: x => format.duration(x).replace(/^([0-9.]+)\.0s$/, '$1s').replace(/(\d[mhd])00[smh]$/, '$1'),
  };

  // finite gives uPlot what it draws: undefined is passed over, null (not finite, or nothing a logarithm has) makes a gap.
  const finite = (values, log) => values.map(v => (v === null ? undefined : Number.isFinite(v) && !(log && v <= 0) ? v : null));

  function lastOf(values) {
    for (let i = values.length - 1; i >= 0; i--) if (values[i] !== null) return i;
    return -1;
  }

  class Plot {
    // chart is an entry of frugal.charts; group is what frugal.drawCharts returned; name tells several of one chart apart.
    constructor(group, chart, name) {
      Object.assign(this, { group, chart, entries: [], log: false, hidden: new Set(), visible: false, uplot: null, signature: '' });
      this.position = element('span', { className: 'position' });
      this.legend = element('div', { className: 'legend' });
      this.area = element('div', { className: 'plot' });
      const title = element('h3', {}, text(chart.title), ...[chart.unit, name].filter(Boolean).map(s => element('small', {}, ` ${text(s)}`)));
      this.card = element('section', { className: chart.wide ? 'chart wide' : 'chart' }, element('header', {}, title, this.position), this.legend, this.area);
      this.card.dataset.chart = chart.key;
      if (chart.log) this.card.querySelector('header').append(this.logButton());
    }

    logButton() {
      const button = element('button', { type: 'button', className: 'toggle', title: text('logarithmic axis') }, text('log'));
      button.setAttribute('aria-pressed', 'false');
      button.addEventListener('click', () => {
        this.log = !this.log;
        button.setAttribute('aria-pressed', String(this.log));
        this.draw();
      });
      return button;
    }

    // setEntries says what is drawn: [{run, tag, label, kind, color}].
    setEntries(entries) {
      this.entries = entries;
      this.draw();
    }

    draw() {
      this.dirty = !this.visible;
      const width = this.area.clientWidth;
      if (!this.visible || width === 0) return;
      this.curves = this.entries.map(entry => this.curve(entry));
      if (this.chart.share) this.stack();
      // The first run lies on top of the others; shares are stacked from the first one up.
      const lines = (this.chart.share ? this.curves : this.curves.toReversed()).flatMap(curve => this.lines(curve));
      const data = frugal.align(lines.map(line => ({ x: line.x, y: line.y })));
      const signature = JSON.stringify([this.group.x, this.log, lines.map(line => [line.key, line.show, line.single])]);
      if (signature !== this.signature) {
        this.uplot?.destroy();
        this.uplot = new uPlot(this.options(lines, width), data, this.area);
        frugal.gestures(this.uplot, this.group);
        this.signature = signature;
      } else {
        this.uplot.setData(data, false);
      }
      this.setRange();
      this.showValues(this.uplot.cursor.left >= 0 ? this.uplot.posToVal(this.uplot.cursor.left, 'x') : null);
    }

    setRange() {
      const [min, max] = this.group.range();
      this.uplot?.setScale('x', { min, max });
    }

    resize() {
      const width = this.area.clientWidth;
      if (this.uplot && width > 0 && width !== this.uplot.width) this.uplot.setSize({ width, height: this.uplot.height });
    }

    curve(entry) {
      const series = entry.run.series(entry.tag);
      const weight = entry.kind === 'line' ? this.group.smoothing : 0;
      const smooth = weight > 0 ? frugal.smooth(series.mean ?? series.value, weight) : null; // mean: of the stretches of a long curve that the report thinned
      const key = `${entry.run.id} ${entry.tag}`;
      return { ...entry, key, x: series[this.group.x], values: series.value, smooth, show: !this.hidden.has(entry.tag) };
    }

    // stack lays shares on each other: each curve's y becomes the sum of the shares up to its own. Counts become shares first:
    // of all curves, also of those that are hidden.
    stack() {
      const count = this.curves[0]?.values.length ?? 0;
      const totals = Array.from({ length: count }, (_, i) => this.curves.reduce((sum, curve) => sum + (curve.values[i] ?? 0), 0));
      for (const curve of this.curves) curve.values = curve.values.map((value, i) => Number.isFinite(value) && totals[i] > 0 ? value / totals[i] : value);
      const share = this.curves.map(() => new Array(count));
      for (let i = 0; i < count; i++) {
        const total = this.curves.reduce((sum, curve) => sum + (curve.show ? curve.values[i] ?? 0 : 0), 0);
        let sum = 0;
        this.curves.forEach((curve, k) => {
          if (curve.show) sum += curve.values[i] ?? 0;
          share[k][i] = total > 0 ? sum / total : null;
        });
      }
      this.curves.forEach((curve, k) => { curve.stacked = share[k]; });
    }

    // lines are what uPlot draws of a curve: the curve, or its pale self and the smoothed one.
    lines(curve) {
      const base = { curve, key: curve.key, x: curve.x, show: curve.show, single: curve.x.length < 2 };
      const line = { ...base, y: finite(curve.stacked ?? curve.values, this.log) };
      if (!curve.smooth || base.single) return [line];
      return [{ ...line, key: `${curve.key} raw`, pale: true }, { ...base, y: finite(curve.smooth, this.log) }];
    }

    options(lines, width) {
      const { group, chart } = this;
      const axis = () => group.color('axis'), grid = { stroke: () => group.color('grid'), width: 1 };
      const yTick = chart.bytes ? x => format.bytes(x).replace('.0 ', ' ') : chart.share ? x => `${Math.round(x * 100)}%` : chart.format ?? format.tick.bind(format);
      const widest = (u, values) => Math.max(40, ...(values ?? []).map(v => 16 + 6.4 * String(v ?? '').length));
      return {
        width, height: chart.wide ? 300 : 220, padding: [10, 22, 0, 0], legend: { show: false },
        scales: { x: { time: false }, y: { distr: this.log ? 3 : 1, range: (u, low, high) => this.yRange(low, high) } },
        axes: [
          { stroke: axis, grid, ticks: { show: false }, font, size: 28, gap: 6, space: 70, values: (u, ticks) => ticks.map(tick => xTick[group.x](tick, ticks[ticks.length - 1])),
            incrs: group.x === 'time' ? seconds : undefined },
          { stroke: axis, grid, ticks: { show: false }, font, size: widest, gap: 6, space: 34, incrs: chart.bytes ? binary : undefined,
            values: (u, ticks) => ticks.map(yTick),
            ...(this.log ? { filter: (u, ticks) => ticks, splits: (u, axis, min, max) => frugal.logTicks(min, max, chart.wide ? 9 : 6) } : {}) },
        ],
        cursor: {
          y: false, drag: { x: true, y: false, setScale: false }, hover: { skip: [null, undefined] }, points: { size: 7, width: 2 },
          bind: { dblclick: () => () => { group.zoom(null); return null; } },
        },
        series: [{}, ...lines.map(line => this.style(line))],
        bands: chart.share ? lines.slice(1).map((line, i) => ({ series: [i + 2, i + 1], fill: () => group.color(line.curve.color, 0.75) })) : undefined,
        hooks: {
          setCursor: [u => group.hover(this, u.cursor.left >= 0 ? u.posToVal(u.cursor.left, 'x') : null)],
          setSelect: [u => this.select(u)],
          draw: [u => this.markNotFinite(u)],
        },
      };
    }

    style({ curve, show, pale, single }) {
      const { group, chart } = this;
      const style = { show, pxAlign: 0, stroke: () => group.color(curve.color, pale ? 0.3 : 1), width: pale ? 1 : chart.share ? 1 : 1.75, points: { show: single, size: 7 } };
      if (curve.kind === 'points') {
        style.dash = curve.dashed ? [6, 3] : undefined;
        style.points = { size: 6, width: 1.5, fill: () => group.color('background'), show: u => this.hasRoom(u, curve.key) };
      }
      if (curve.kind === 'dashes') style.dash = [5, 4];
      if (chart.share && curve === this.curves[0]) style.fill = () => group.color(curve.color, 0.75);
      return style;
    }

    // hasRoom is whether a curve's points, as many as are in sight, stand apart.
    hasRoom(u, key) {
      const { x } = this.curves.find(curve => curve.key === key), { min, max } = u.scales.x;
      return (frugal.nearest(x, max) - frugal.nearest(x, min)) * 12 < u.over.clientWidth;
    }

    yRange(low, high) {
      if (this.chart.share) return [0, 1];
      if (low === null || high === null) return this.log ? [1, 10] : [0, 1];
      if (this.log) return low === high ? [low / 2, high * 2] : [low * (low / high) ** 0.05, high * (high / low) ** 0.05];
      if (this.chart.zero && low >= 0) return [0, high * 1.06 || 1];
      const pad = (high - low) * 0.06 || Math.abs(high) * 0.1 || 1;
      return [low >= 0 ? Math.max(0, low - pad) : low - pad, high + pad];
    }

    select(u) {
      const { left, width } = u.select;
      if (width < 4) return;
      this.group.zoom([u.posToVal(left, 'x'), u.posToVal(left + width, 'x')]);
      u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    }

    // A loss that became NaN must not look like a pause: where a value is not finite, a mark stands at the top.
    markNotFinite(u) {
      const { ctx, bbox } = u, size = 5 * devicePixelRatio;
      ctx.save();
      ctx.fillStyle = this.group.color('bad');
      for (const curve of this.curves) {
        if (!curve.show) continue;
        curve.values.forEach((value, i) => {
          if (value === null || Number.isFinite(value)) return;
          const x = u.valToPos(curve.x[i], 'x', true);
          if (x < bbox.left || x > bbox.left + bbox.width) return;
          ctx.beginPath();
          ctx.moveTo(x - size, bbox.top);
          ctx.lineTo(x + size, bbox.top);
          ctx.lineTo(x, bbox.top + 1.6 * size);
          ctx.fill();
        });
      }
      ctx.restore();
    }

    // showValues writes the legend: the values nearest to x, or the last ones where x is null.
    showValues(x) {
      this.position.textContent = x === null ? '' : this.group.positionText(x);
      const several = new Set(this.curves.map(curve => curve.run)).size > 1;
      const write = format.value.bind(format), chips = new Map();
      for (const curve of this.curves) {
        const i = x === null ? lastOf(curve.values) : frugal.nearest(curve.x, x);
        const value = i < 0 ? null : curve.values[i];
        const shown = this.chart.share ? y => format.percent(100 * y) : this.chart.format ?? write;
        const name = several ? curve.run.name : curve.label && (curve.kind === 'stack' ? curve.label : text(curve.label));
        const key = several ? curve.run.id : curve.tag;
        const chip = chips.get(key) ?? { name, curve, parts: [] };
        const part = value === null || value === undefined ? '–' : shown(value);
        chip.parts.push([several && curve.label && this.curves.some(c => c.run === curve.run && c !== curve) ? text(curve.label) : '', part,
          curve.smooth && Number.isFinite(curve.smooth[i]) ? shown(curve.smooth[i]) : '']);
        chips.set(key, chip);
      }
      this.legend.replaceChildren(...[...chips].map(([key, chip]) => this.chip(key, chip, several)));
    }

    chip(key, { name, curve, parts }, several) {
      const swatch = element('i', { className: `swatch ${several ? '' : curve.kind}` });
      swatch.style.color = this.group.color(curve.color);
      const values = parts.flatMap(([label, value, smooth]) => [
        ...(label ? [element('small', {}, label)] : []), element('b', {}, value),
        ...(smooth ? [element('small', { title: text('smoothed') }, `~ ${smooth}`)] : [])]);
      const chip = element('button', { type: 'button', className: `chip${curve.show ? '' : ' off'}${several ? ' run' : ''}` }, swatch, ...(name ? [element('span', {}, name)] : []), ...values);
      if (!several && this.curves.length > 1) {
        chip.setAttribute('aria-pressed', String(curve.show));
        chip.addEventListener('click', () => {
          if (!this.hidden.delete(key)) this.hidden.add(key);
          this.draw();
        });
      } else {
        chip.disabled = true;
      }
      return chip;
    }

    destroy() {
      this.uplot?.destroy();
      this.card.remove();
    }
  }

  frugal.Plot = Plot;
})();
