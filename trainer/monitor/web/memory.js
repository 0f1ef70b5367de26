// memory.js shows what the most memory that a run ever took consisted of: a bar a run, a colour a kind.
//
//   frugal.kindsOf(run)       what a frugal.Run (runs.js) says of its highest peak: [[kind, bytes], …], or null. Each session
//                             has a peak of its own
//   frugal.memoryBars(rows)   a DOM element; rows: [{name, kinds: [[kind, bytes], …]}], all to one scale. A name is shown where
//                             there are several
//
// Kinds are whatever the file names (docs/format.md, peak_memory_by_kind): one that is not known here is drawn after those that are.
'use strict';

(() => {
  const { element, format, text } = frugal;
  const known = ['weights', 'gradients', 'optimizer', 'activations', 'head'];
  const onHost = 'host'; // what lies beside the device: no part of its peak
  const field = 'train/peak_memory_by_kind/';
  const small = content => element('small', {}, content);

  frugal.kindsOf = run => {
    const peaks = run.series('train/peak_memory_bytes')?.value ?? [];
    const at = peaks.reduce((best, bytes, i) => (bytes > (peaks[best] ?? -1) ? i : best), 0);
    const kinds = run.tags().filter(tag => tag.startsWith(field)).map(tag => [tag.slice(field.length), run.series(tag).value[at]]);
    const told = kinds.filter(([, bytes]) => Number.isFinite(bytes) && bytes >= 0);
    return told.length > 0 ? told : null;
  };

  const sum = kinds => kinds.reduce((all, [, bytes]) => all + bytes, 0);
  const onDevice = kinds => kinds.filter(([kind]) => kind !== onHost);
  const ofHost = kinds => kinds.filter(([kind]) => kind === onHost);

  // inOrder are the names of the kinds that any row has something of, as they lie on each other.
  function inOrder(rows) {
    const place = kind => (known.includes(kind) ? known.indexOf(kind) : kind === 'other' ? Infinity : known.length);
    const names = [...new Set(rows.flatMap(row => onDevice(row.kinds).filter(([, bytes]) => bytes > 0).map(([kind]) => kind)))];
    return [...known, ...names.filter(kind => !known.includes(kind)).sort((a, b) => place(a) - place(b) || a.localeCompare(b))];
  }

  // bar is as long as its bytes are of most. colors: [[bytes, CSS colour, what a person reads], …]
  function bar(parts, most, className = '') {
    const segments = parts.map(([bytes, color, title]) => {
      const segment = element('i', { title });
      Object.assign(segment.style, { background: color, flexGrow: bytes });
      return segment;
    });
    const node = element('div', { className: `stack ${className}`, role: 'img', ariaLabel: parts.map(([, , title]) => title).join(', ') }, ...segments);
    node.style.width = `${100 * parts.reduce((all, [bytes]) => all + bytes, 0) / most}%`;
    return node;
  }

  function chip([bytes, color, , kind], note) {
    const swatch = element('i', { className: 'swatch stack' });
    swatch.style.color = color;
    return element('span', { className: 'chip' }, swatch, element('span', {}, text(kind)), element('b', {}, format.bytes(bytes)), small(note));
  }

  frugal.memoryBars = rows => {
    const order = inOrder(rows);
    const most = Math.max(...rows.flatMap(row => [sum(onDevice(row.kinds)), sum(ofHost(row.kinds))]));
    const colorOf = kind => (kind === 'other' ? 'var(--dim)' : `var(--series-${order.indexOf(kind) % 6})`);
    const part = ([kind, bytes], color) => [bytes, color, `${text(kind)} ${format.bytes(bytes)}`, kind];
    return element('div', { className: 'memory-bars' }, ...rows.map(({ name, kinds }) => {
      const all = sum(onDevice(kinds));
      const worth = ([kind, bytes]) => bytes > (kind === 'other' ? all / 100 : 0);
      const parts = onDevice(kinds).filter(worth).sort(([a], [b]) => order.indexOf(a) - order.indexOf(b)).map(entry => part(entry, colorOf(entry[0])));
      const host = ofHost(kinds).filter(([, bytes]) => bytes > 0).map(entry => part(entry, 'var(--series-6)'));
      const title = rows.length > 1 ? [element('h3', {}, name)] : [];
      const line = element('div', { className: 'measured' }, bar(parts, most), element('b', {}, format.bytes(all)));
      return element('div', {}, ...title, line, ...(host.length ? [bar(host, most, 'host')] : []),
        element('div', { className: 'legend' }, ...parts.map(p => chip(p, format.percent(100 * p[0] / all))),
          ...host.map(p => chip(p, text('beside the device')))));
    }));
  };
})();
