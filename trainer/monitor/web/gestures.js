// gestures.js is what uPlot lacks: two fingers zoom and shift a chart, one finger reads it, and the wheel zooms with Ctrl held
// (which is what a pinch on a touchpad sends).
'use strict';

frugal.gestures = (uplot, group) => {
  const over = uplot.over, fingers = new Map();
  let held = null; // the x values that lie under the two fingers

  const at = event => event.clientX - over.getBoundingClientRect().left;
  const ends = () => [...fingers.values()].sort((a, b) => a - b);
  const zoomTo = (min, max) => {
    if (max > min && Number.isFinite(max - min)) group.zoom([min, max]);
  };

  over.addEventListener('pointerdown', event => {
    if (event.pointerType === 'mouse') return;
    fingers.set(event.pointerId, at(event));
    held = fingers.size === 2 ? ends().map(left => uplot.posToVal(left, 'x')) : null;
  });
  over.addEventListener('pointermove', event => {
    if (!fingers.has(event.pointerId)) return;
    fingers.set(event.pointerId, at(event));
    if (fingers.size === 1) {
      uplot.setCursor({ left: at(event), top: 0 });
      return;
    }
    const [left, right] = ends();
    if (!held || right - left < 8) return;
    const perPixel = (held[1] - held[0]) / (right - left);
    const min = held[0] - left * perPixel;
    zoomTo(min, min + over.clientWidth * perPixel);
  });
  for (const name of ['pointerup', 'pointercancel', 'pointerleave']) {
    over.addEventListener(name, event => {
      fingers.delete(event.pointerId);
      held = null;
    });
  }

  over.addEventListener('wheel', event => {
    if (!event.ctrlKey) return;
    event.preventDefault();
    const { min, max } = uplot.scales.x, x = uplot.posToVal(at(event), 'x');
    const factor = Math.exp(Math.max(-1, Math.min(1, event.deltaY / 100)));
    zoomTo(x - (x - min) * factor, x + (max - x) * factor);
  }, { passive: false });
};
