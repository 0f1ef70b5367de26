// charts.js draws a set of charts for one run or several laid over each other. The live page and the report use it alike:
//
//   const group = frugal.drawCharts(element, {charts, x, smoothing, onZoom})     all options may be left out
//       charts     entries of frugal.charts (series.js); left out: those, and one for each figure that they do not know
//       x          'step' | 'tokens' | 'time' (seconds of training)
//       smoothing  0 … 0.999: weight of TensorBoard's moving average; 0: none
//       onZoom     called with true or false when the charts are zoomed or not
//   group.show(runs)           which frugal.Run are drawn (runs.js), or what has their id, name, tags, series and, for how far
//                              the axes go, tables. A run keeps its colour while it is among the runs
//   group.update()             lines were added to a run: draws at the next frame, as often as it is called until then
//   group.set({x, smoothing})  changes these
//   group.zoom([min, max])     in units of x; null: everything. A person drags, pinches, or turns the wheel with Ctrl held
//   group.colorOf(run)         the run's colour as a CSS colour
//   group.destroy()
//
//   frugal.theme()             'auto' | 'light' | 'dark'; frugal.setTheme(theme) also keeps it for the next visit
//   frugal.themeButton()       a button that goes through the three
//
// The element gets a grid of cards. charts.css has the colours, light and dark, safe for the colour-blind; nothing is fetched.
// Load: uPlot.iife.min.js, runs.js, text.js, series.js, gestures.js, plot.js, charts.js (web.Script() in Go has all of them).
'use strict';

(() => {
  const { element, format, text } = frugal;
  const colors = 8;

  class Group {
    constructor(parent, { charts, x = 'step', smoothing = 0.6, onZoom = () => {} } = {}) {
      Object.assign(this, { parent, charts, x, smoothing, onZoom, runs: [], plots: new Map(), slots: new Map(), zoomed: null, frame: 0, pause: 0, due: false });
      this.grid = element('div', { className: 'charts' });
      this.empty = element('p', { className: 'nothing' }, text('Waiting for the first figures …'));
      parent.append(this.empty, this.grid);
      this.resizer = new ResizeObserver(() => this.plots.forEach(plot => plot.resize()));
      this.resizer.observe(this.grid);
      // Charts out of sight are drawn when they come into sight.
      this.watcher = new IntersectionObserver(seen => seen.forEach(({ target, isIntersecting }) => {
        const plot = [...this.plots.values()].find(p => p.card === target);
        if (!plot) return;
        plot.visible = isIntersecting;
        if (isIntersecting && plot.dirty) plot.draw();
      }), { rootMargin: '200px' });
      this.repaint = () => {
        this.palette = null;
        this.plots.forEach(plot => plot.uplot && (plot.uplot.redraw(false), plot.showValues(null)));
      };
      this.printing = () => this.plots.forEach(plot => { plot.visible = true; plot.draw(); });
      addEventListener('frugal-theme', this.repaint);
      addEventListener('beforeprint', this.printing);
    }

    show(runs) {
      this.runs = runs;
      for (const id of this.slots.keys()) if (!runs.some(run => run.id === id)) this.slots.delete(id);
      for (const run of runs) {
        const taken = new Set(this.slots.values());
        let slot = 0;
        while (taken.has(slot)) slot++;
        if (!this.slots.has(run.id)) this.slots.set(run.id, slot);
      }
      this.update();
    }

    set({ x = this.x, smoothing = this.smoothing }) {
      if (x !== this.x) this.setZoom(null);
      Object.assign(this, { x, smoothing });
      this.update();
    }

    // update takes at most a quarter of the time: a page with 50,000 points still answers while lines arrive.
    update() {
      this.due = true;
      if (this.frame || this.pause) return;
      this.frame = requestAnimationFrame(() => {
        this.frame = 0;
        const start = performance.now();
        this.draw();
        const rest = 3 * (performance.now() - start);
        if (rest < 16) return;
        this.pause = setTimeout(() => {
          this.pause = 0;
          if (this.due) this.update();
        }, rest);
        this.due = false;
      });
    }

    draw() {
      const panels = this.panels();
      const keys = new Set(panels.map(panel => panel.key));
      for (const [key, plot] of this.plots) {
        if (keys.has(key)) continue;
        this.watcher.unobserve(plot.card);
        plot.destroy();
        this.plots.delete(key);
      }
      panels.forEach((panel, i) => {
        let plot = this.plots.get(panel.key);
        if (!plot) {
          plot = new frugal.Plot(this, panel.chart, panel.name);
          this.plots.set(panel.key, plot);
          this.watcher.observe(plot.card);
        }
        if (this.grid.children[i] !== plot.card) this.grid.insertBefore(plot.card, this.grid.children[i] ?? null);
        plot.setEntries(panel.entries);
      });
      this.empty.hidden = panels.length > 0;
    }

    // panels are the charts that have something to show: {key, chart, name, entries}. Shares cannot be laid over each other:
    // they get a panel a run.
    panels() {
      const charts = this.charts ?? [...frugal.charts, ...frugal.moreCharts(frugal.charts, this.runs)];
      const panels = [];
      for (const chart of charts) {
        const sets = chart.share ? this.runs.map(run => [run]) : [this.runs];
        for (const runs of sets) {
          const entries = runs.flatMap(run => this.entries(chart, run));
          if (entries.length === 0) continue;
          const name = chart.share && this.runs.length > 1 ? runs[0].name : '';
          panels.push({ key: chart.share ? `${chart.key} ${runs[0].id} ${name}` : chart.key, chart, name, entries });
        }
      }
      return panels;
    }

    entries(chart, run) {
      const several = this.runs.length > 1;
      return chart.series.flatMap((series, i) => {
        if (series.kind === 'stack') {
          const prefix = series.tag.slice(0, -1);
          return run.tags().filter(tag => tag.startsWith(prefix)).map((tag, k) => ({ ...series, run, tag, label: tag.slice(prefix.length), color: k }));
        }
        if (!run.series(series.tag)) return [];
        return [{ ...series, run, color: several ? this.slots.get(run.id) : i, dashed: several && chart.series.length > 1 }];
      });
    }

    // range is what all charts show along x: the zoom, or everything.
    range() {
      if (this.zoomed) return this.zoomed;
      let min = Infinity, max = -Infinity;
      for (const run of this.runs) {
        for (const table of [run.tables.train, run.tables.eval]) {
          const xs = table[this.x];
          if (xs.length === 0) continue;
          min = Math.min(min, xs[0]);
          max = Math.max(max, xs[xs.length - 1]);
        }
      }
      if (min === Infinity) return [0, 1];
      return min < max ? [min, max] : [min - 1, max + 1];
    }

    zoom(range) {
      this.setZoom(range);
      this.plots.forEach(plot => plot.setRange());
    }

    setZoom(range) {
      const changed = Boolean(this.zoomed) !== Boolean(range);
      this.zoomed = range;
      if (changed) this.onZoom(Boolean(range));
    }

    // hover puts the cursor of all charts where the one of from is.
    hover(from, x) {
      if (this.hovering) return;
      this.hovering = true;
      for (const plot of this.plots.values()) {
        if (!plot.uplot || !plot.visible) continue;
        if (plot !== from) plot.uplot.setCursor({ left: x === null ? -10 : plot.uplot.valToPos(x, 'x'), top: x === null ? -10 : 0 });
        plot.showValues(x);
      }
      this.hovering = false;
    }

    positionText(x) {
      if (this.x === 'time') return format.duration(x);
      return `${text(this.x)} ${format.count(Math.max(0, x))}`;
    }

    // color is a CSS colour: of a slot (a number; they repeat after eight) or of a name in charts.css (axis, grid, bad, background).
    color(slot, alpha = 1) {
      if (!this.palette) {
        const style = getComputedStyle(this.grid), read = name => style.getPropertyValue(name).trim();
        this.palette = { axis: read('--axis'), grid: read('--grid'), bad: read('--bad'), background: read('--card') };
        for (let i = 0; i < colors; i++) this.palette[i] = read(`--series-${i}`);
      }
      const color = this.palette[typeof slot === 'number' ? slot % colors : slot];
      return alpha === 1 ? color : color + Math.round(alpha * 255).toString(16).padStart(2, '0');
    }

    colorOf(run) {
      return this.color(this.slots.get(run.id) ?? 0);
    }

    destroy() {
      cancelAnimationFrame(this.frame);
      clearTimeout(this.pause);
      this.resizer.disconnect();
      this.watcher.disconnect();
      removeEventListener('frugal-theme', this.repaint);
      removeEventListener('beforeprint', this.printing);
      this.plots.forEach(plot => plot.destroy());
      this.grid.remove();
      this.empty.remove();
    }
  }

  frugal.drawCharts = (parent, options) => new Group(parent, options);

  // A page opened from a file may have no storage.
  frugal.recall = (name, otherwise) => {
    try {
      return localStorage.getItem(`frugal.${name}`) ?? otherwise;
    } catch {
      return otherwise;
    }
  };
  frugal.remember = (name, value) => {
    try {
      localStorage.setItem(`frugal.${name}`, value);
    } catch { /* then it is forgotten */ }
  };

  const themes = ['auto', 'light', 'dark'];
  const dark = matchMedia('(prefers-color-scheme: dark)');
  let theme = themes.includes(frugal.recall('theme')) ? frugal.recall('theme') : 'auto';
  const applyTheme = () => {
    document.documentElement.dataset.theme = theme === 'auto' ? (dark.matches ? 'dark' : 'light') : theme;
    dispatchEvent(new Event('frugal-theme'));
  };
  dark.addEventListener('change', applyTheme);
  applyTheme();
  frugal.theme = () => theme;
  frugal.setTheme = next => {
    theme = next;
    frugal.remember('theme', next);
    applyTheme();
  };
  frugal.themeButton = () => {
    const button = element('button', { type: 'button', className: 'toggle theme' });
    const write = () => {
      const name = text({ auto: 'automatic', light: 'light', dark: 'dark' }[theme]);
      button.replaceChildren({ auto: '◐', light: '○', dark: '●' }[theme], element('span', { className: 'word' }, ` ${name}`));
      button.title = `${text('Theme')}: ${name}`;
    };
    button.addEventListener('click', () => {
      frugal.setTheme(themes[(themes.indexOf(theme) + 1) % themes.length]);
      write();
    });
    write();
    return button;
  };
})();
