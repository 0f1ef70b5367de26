// text.js writes numbers as the trainer's log does, and words in the reader's language.
//
//   frugal.text(english)          the same in Portuguese where the browser asks for that and the table below knows it
//   frugal.format.value(x)        four figures: 2.310, 4.5e-4, NaN
//   frugal.format.exponent(x)     4.5e-4, 2e-3
//   frugal.format.count(n)        10,240            frugal.format.short(n)   10.2k, 1.85M
//   frugal.format.bytes(n)        233.0 MB, in units of 1024
//   frugal.format.percent(x)      199%
//   frugal.format.duration(s)     0.4s, 42s, 2m10s, 3h05m, 2d04h
//   frugal.element(name, props, ...children)   a DOM element; children may be texts, which stay texts
'use strict';

(() => {
  const portuguese = {
    'Loss': 'Perda', 'train': 'treino', 'task': 'tarefa', 'distillation': 'destilação', 'Task and distillation loss': 'Perda da tarefa e da destilação',
    'Task loss': 'Perda da tarefa', 'Distillation loss': 'Perda da destilação', 'evaluation': 'avaliação', 'smoothed': 'suavizado', 'Bits per byte': 'Bits por byte',
    'Perplexity': 'Perplexidade', 'Learning rate': 'Taxa de aprendizado', 'Gradient norm': 'Norma do gradiente',
    'Loss scale': 'Escala da perda', 'Speed': 'Velocidade', 'tokens/s': 'tokens/s', 'Memory': 'Memória', 'resident': 'residente',
    'peak': 'pico', 'allocated': 'alocada', 'reserved': 'reservada', 'whole card': 'placa inteira', 'Utilisation': 'Utilização', 'Temperature': 'Temperatura',
    'Power': 'Potência', 'Curriculum, planned': 'Currículo, planejado', 'Curriculum, drawn': 'Currículo, sorteado',
    'step': 'passo', 'tokens': 'tokens', 'time': 'tempo', 'log': 'log', 'logarithmic axis': 'eixo logarítmico',
    'Step': 'Passo', 'Time left': 'Falta', 'Took': 'Levou', 'Evaluation': 'Avaliação', 'Device': 'Dispositivo', 'parameters': 'parâmetros',
    'bits/byte': 'bits/byte', 'Last checkpoint': 'Último checkpoint', 'at step': 'no passo', 'running': 'treinando', 'complete': 'completo',
    'stopped': 'parado', 'connecting': 'conectando', 'connection lost': 'sem conexão', 'interrupted': 'interrompido',
    'of': 'de', 'Smoothing': 'Suavização', 'Reset zoom': 'Desfazer zoom', 'Axis': 'Eixo', 'Theme': 'Tema', 'automatic': 'automático',
    'light': 'claro', 'dark': 'escuro', 'Runs': 'Treinos', 'Samples': 'Amostras', 'Configuration': 'Configuração',
    'this run': 'este treino', 'Search': 'Buscar', 'only what differs': 'só o que difere', 'key': 'chave', 'all prompts': 'todos os prompts',
    'older': 'mais antigas', 'Nothing found.': 'Nada encontrado.', 'Waiting for the first figures …': 'À espera dos primeiros números …',
    'No other runs beside this one.': 'Não há outros treinos ao lado deste.', 'ago': 'atrás', 'just now': 'agora',
    'Drag to zoom, double-click to go back.': 'Arraste para ampliar, clique duplo para voltar.',
    'Pinch to zoom, tap twice to go back.': 'Use dois dedos para ampliar, toque duplo para voltar.',
    'not finite': 'não finito', 'Charts': 'Gráficos', 'GPU': 'GPU', 'epoch': 'época', 'empty': 'vazio', '(no prompt)': '(sem prompt)',
    'Peak memory': 'Pico de memória', 'by kind': 'por tipo', 'weights': 'pesos', 'gradients': 'gradientes', 'optimizer': 'otimizador',
    'activations': 'ativações', 'head': 'saída', 'other': 'outros', 'host': 'host', 'beside the device': 'fora do dispositivo',
    'Too many pages are open on this run.': 'Há páginas demais abertas neste treino.', 'loading': 'carregando',
  };
  const languages = typeof navigator === 'undefined' ? [] : navigator.languages ?? [navigator.language];
  const inPortuguese = /^pt\b/i.test(languages[0] ?? '');
  frugal.language = inPortuguese ? 'pt-BR' : 'en';
  frugal.text = english => (inPortuguese && portuguese[english]) || english;

  const notFinite = x => (Number.isNaN(x) ? 'NaN' : x > 0 ? '∞' : '−∞');
  const exponent = (x, digits) => x.toExponential(digits).replace(/\.?0+e/, 'e').replace('e+', 'e');

  frugal.format = {
    value(x) {
      if (!Number.isFinite(x)) return notFinite(x);
      const size = Math.abs(x);
      if (size === 0) return '0';
      if (size < 1e-3 || size >= 1e7) return exponent(x, 2);
      if (size >= 1e4) return this.count(Math.round(x));
      return x.toPrecision(4);
    },
    exponent: x => (x === 0 ? '0' : Number.isFinite(x) ? exponent(x, 3) : notFinite(x)),
    // tick is value for an axis: as short as it can be, and never rounded to its neighbour.
    tick(x) {
      const size = Math.abs(x);
      if (size === 0) return '0';
      if (size < 1e-3) return exponent(x, 3);
      return size >= 1e4 ? this.short(x) : String(Number(x.toPrecision(6)));
    },
    count: n => (Number.isFinite(n) ? String(Math.round(n)).replace(/\B(?=(\d{3})+$)/g, ',') : notFinite(n)),
    short(n) {
      if (!Number.isFinite(n)) return notFinite(n);
      const size = Math.abs(n);
      for (const [limit, unit] of [[1e12, 'T'], [1e9, 'G'], [1e6, 'M'], [1e3, 'k']]) {
        if (size >= limit * 0.99995) return Number((n / limit).toPrecision(3)) + unit;
      }
      return String(Number(n.toPrecision(3)));
    },
    bytes(n) {
      if (!Number.isFinite(n)) return notFinite(n);
      if (n < 1024) return `${n} B`;
      let unit = 0;
      for (n /= 1024; n >= 1023.95 && unit < 3; n /= 1024) unit++;
      return `${n.toFixed(1)} ${'KMGT'[unit]}B`;
    },
    percent: x => (Number.isFinite(x) ? `${Math.round(x)}%` : notFinite(x)),
    duration(seconds) {
      if (!(seconds > 0)) return '0s';
      if (seconds < 9.95) return `${seconds.toFixed(1)}s`;
      const s = Math.round(seconds), two = n => String(n).padStart(2, '0');
      const minutes = Math.floor(s / 60), hours = Math.floor(s / 3600), days = Math.floor(s / 86400);
      if (minutes === 0) return `${s}s`;
      if (hours === 0) return `${minutes}m${two(s % 60)}s`;
      return days === 0 ? `${hours}h${two(minutes % 60)}m` : `${days}d${two(hours % 24)}h`;
    },
  };

  // element never parses HTML: names of runs and texts of models cannot become markup.
  frugal.element = (name, props = {}, ...children) => {
    const node = document.createElement(name);
    for (const [key, value] of Object.entries(props)) {
      if (key in node) node[key] = value;
      else node.setAttribute(key, value);
    }
    node.append(...children);
    return node;
  };
})();
