// runs.js turns the lines of metrics.jsonl into series that can be drawn. docs/format.md, "Metrics", says what the lines hold.
//
//   const run = new frugal.Run(id, name)     id: any string that tells runs apart; name: what a person calls the run
//   run.addLines(text)                       whole lines, a newline between them; those that are no JSON are left out
//   run.clear()                              forgets all lines
//
//   run.status        'started' | 'complete' | 'stopped' | '' (no run line yet), and run.reason where it was stopped
//   run.start         the last line of status started (device, precision, parameters, total_steps, …), or null
//   run.config        its configuration as it stands in the file, or null; run.flatConfig(): Map 'monitoring.top_p' → value
//   run.step          of the last line; run.time: when that was, in milliseconds since 1970; run.elapsed: seconds of
//                     training up to it, the pauses between sessions left out
//   run.tags()        what there are series of: 'train/loss', 'eval/loss', 'train/curriculum_weights/STAGE', …
//   run.series(tag)   {step, tokens, time, value}: arrays of equal length, time in seconds of training; null if there is none.
//                     value holds null where a line lacked the field, and NaN or ±Infinity where it said so.
//   run.last(tag)     the last value, or undefined
//   run.evaluations, run.samples, run.saves, run.epochs    the lines of these events, in order, numbers as numbers
//   run.secondsLeft() judged by the pace of the last minutes, at the last train line; undefined where it cannot be known
'use strict';

const frugal = {};

(() => {
  const names = { NaN: NaN, Infinity: Infinity, '-Infinity': -Infinity };

  // number reads a JSON value as docs/format.md writes numbers: not-a-number and the infinities are strings.
  frugal.number = value => {
    if (typeof value === 'number') return value;
    return typeof value === 'string' && Object.hasOwn(names, value) ? names[value] : undefined;
  };

  // A Table holds the lines of one event in columns: 50,000 lines share one array of steps.
  class Table {
    constructor() {
      this.step = [];
      this.tokens = [];
      this.time = [];
      this.columns = new Map();
    }

    add(step, tokens, time, values) {
      this.cut(step);
      for (const name of values.keys()) {
        if (!this.columns.has(name)) this.columns.set(name, new Array(this.step.length).fill(null));
      }
      this.step.push(step);
      this.tokens.push(tokens);
      this.time.push(time);
      for (const [name, column] of this.columns) column.push(values.has(name) ? values.get(name) : null);
    }

    // The trainer cuts the lines that a resumed run repeats; should a file hold some all the same, the later ones count.
    cut(step) {
      let length = this.step.length;
      while (length > 0 && this.step[length - 1] >= step) length--;
      if (length === this.step.length) return;
      for (const column of [this.step, this.tokens, this.time, ...this.columns.values()]) column.length = length;
    }
  }

  // numbersOf collects a line's numbers, those of nested objects as 'field/name'.
  function numbersOf(line) {
    const values = new Map();
    for (const [name, value] of Object.entries(line)) {
      if (name === 'step') continue;
      if (value !== null && typeof value === 'object' && !Array.isArray(value)) {
        for (const [inner, x] of Object.entries(value)) {
          const number = frugal.number(x);
          if (number !== undefined) values.set(`${name}/${inner}`, number);
        }
        continue;
      }
      const number = frugal.number(value);
      if (number !== undefined) values.set(name, number);
    }
    return values;
  }

  function flatten(prefix, value, into) {
    if (value === null || typeof value !== 'object' || Array.isArray(value)) {
      into.set(prefix, value);
      return;
    }
    for (const [name, inner] of Object.entries(value)) flatten(prefix ? `${prefix}.${name}` : name, inner, into);
  }

  class Run {
    constructor(id, name) {
      this.id = id;
      this.name = name;
      this.clear();
    }

    clear() {
      Object.assign(this, {
        status: '', reason: '', start: null, config: null, step: 0, time: 0, elapsed: 0,
        evaluations: [], samples: [], saves: [], epochs: [],
        tables: { train: new Table(), eval: new Table(), epoch: new Table() },
        sessionTime: 0, sessionBase: 0, sessionStep: 0,
      });
    }

    addLines(text) {
      for (const line of text.split('\n')) {
        if (line === '') continue;
        let parsed;
        try {
          parsed = JSON.parse(line);
        } catch {
          continue;
        }
        if (parsed && typeof parsed.event === 'string' && Number.isFinite(parsed.step)) this.add(parsed);
      }
    }

    add(line) {
      const time = Date.parse(line.time);
      if (line.event === 'run' && line.status === 'started') {
        Object.assign(this, { sessionTime: time, sessionBase: this.elapsed, sessionStep: line.step });
      }
      if (Number.isFinite(time)) {
        this.time = time;
        this.elapsed = Math.max(this.elapsed, this.sessionBase + (time - (this.sessionTime || time)) / 1000);
      }
      this.step = line.step;
      const keep = { eval: this.evaluations, sample: this.samples, save: this.saves, epoch: this.epochs }[line.event];
      if (keep) this.keep(keep, line);
      if (line.event === 'run') this.session(line);
      else if (Object.hasOwn(this.tables, line.event)) this.tabulate(line);
    }

    session(line) {
      this.status = line.status;
      this.reason = line.status === 'stopped' ? String(line.reason ?? '') : '';
      if (line.status === 'started') {
        this.start = line;
        this.config = line.config ?? null;
      }
    }

    keep(lines, line) {
      while (lines.length > 0 && lines[lines.length - 1].step > line.step) lines.pop();
      const entry = {};
      for (const [name, value] of Object.entries(line)) {
        const text = name === 'text' || name === 'prompt' || name === 'path'; // a sample may well say "NaN"
        entry[name] = text ? String(value) : frugal.number(value) ?? value;
      }
      lines.push(entry);
    }

    tabulate(line) {
      const values = numbersOf(line);
      const train = this.tables.train;
      let tokens = values.get('tokens') ?? null;
      if (line.event === 'eval') { // its tokens are those evaluated
        const last = train.step.length - 1;
        tokens = last < 0 || train.step[last] === 0 ? 0 : train.tokens[last] * line.step / train.step[last];
      }
      this.tables[line.event].add(line.step, tokens, this.elapsed, values);
    }

    tags() {
      return Object.entries(this.tables).flatMap(([event, table]) => [...table.columns.keys()].map(name => `${event}/${name}`));
    }

    series(tag) {
      const slash = tag.indexOf('/');
      const table = this.tables[tag.slice(0, slash)];
      const value = table?.columns.get(tag.slice(slash + 1));
      return value ? { step: table.step, tokens: table.tokens, time: table.time, value } : null;
    }

    last(tag) {
      const value = this.series(tag)?.value;
      return value?.[value.length - 1] ?? undefined;
    }

    flatConfig() {
      const flat = new Map();
      if (this.config) flatten('', this.config, flat);
      return flat;
    }

    secondsLeft() {
      const total = this.start?.total_steps;
      const { step, time } = this.tables.train;
      const last = step.length - 1;
      if (!total || last < 0 || this.status !== 'started') return undefined;
      let first = last;
      while (first > 0 && time[last] - time[first] < 300 && step[first - 1] > this.sessionStep) first--;
      // The session's first line is measured from the session's beginning, the others from the line before.
      const [fromStep, fromTime] = first === last ? [this.sessionStep, this.sessionBase] : [step[first], time[first]];
      const pace = (time[last] - fromTime) / (step[last] - fromStep);
      return pace > 0 ? (total - step[last]) * pace : undefined;
    }
  }

  frugal.Run = Run;
})();
