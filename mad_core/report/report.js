// Draws the figures in the theme of the reader; on paper they are light and shrunk to the page, as they stand on a screen.
const PAPER = { whole: [940, 670], left: [520, 362], right: [415, 288] }; // width as drawn and on A4, in pixels
const dark = window.matchMedia('(prefers-color-scheme: dark)');
const paper = window.matchMedia('print');
const plots = [...document.querySelectorAll('.plot')];
const unfolded = [];

// A change is a list of one, the new value, or an object of changes by key or place.
function changed(value, change) {
  if (Array.isArray(change)) return change[0];
  const made = Array.isArray(value) ? [...value] : { ...value };
  for (const [key, inner] of Object.entries(change)) made[key] = changed(value[key], inner);
  return made;
}

function figureOf(plot, theme) {
  const { light, change } = JSON.parse(plot.nextElementSibling.textContent);
  return theme === 'dark' ? changed(light, change) : light;
}

function draw(plot, theme, width) {
  const figure = figureOf(plot, theme);
  const layout = width ? { ...figure.layout, width } : figure.layout;
  return Plotly.react(plot, figure.data, layout, { displayModeBar: false, responsive: !width });
}

const inView = () => (dark.matches ? 'dark' : 'light');
let turn = 0; // a newer drawing of all ends an older one that is still going

async function drawAll() {
  const own = ++turn;
  for (const plot of plots) {
    if (own !== turn) return;
    draw(plot, inView());
    await new Promise((resolve) => setTimeout(resolve)); // the page answers between two figures
  }
  document.body.dataset.drawn = inView();
}

function toPaper() {
  if (unfolded.length || document.body.dataset.paper) return;
  document.body.dataset.paper = 'yes';
  turn++;
  for (const fold of document.querySelectorAll('details[data-print]:not([open])')) {
    fold.open = true;
    unfolded.push(fold);
  }
  for (const plot of plots) shrink(plot);
}

// What is light and about as wide already stays as it is: pictures in a figure come late when it is drawn anew.
function shrink(plot) {
  const figure = plot.closest('figure');
  const beside = figure.parentElement.matches('.beside');
  const side = !beside ? 'whole' : figure === figure.parentElement.firstElementChild ? 'left' : 'right';
  const [usual, room] = PAPER[side];
  const fits = document.body.dataset.drawn === 'light' && Math.abs(plot.clientWidth / usual - 1) < 0.15;
  const width = fits ? plot.clientWidth : usual;
  if (!fits) draw(plot, 'light', width);
  else Plotly.relayout(plot, { width }); // the new size of the window does not reach it
  plot.style.width = `${width}px`;
  plot.style.zoom = room / width;
}

function fromPaper() {
  delete document.body.dataset.paper;
  for (const fold of unfolded.splice(0)) fold.open = false;
  for (const plot of plots) plot.style.width = plot.style.zoom = '';
  drawAll();
}

drawAll();
dark.addEventListener('change', () => document.body.dataset.paper || drawAll());
window.addEventListener('beforeprint', toPaper);
window.addEventListener('afterprint', fromPaper);
paper.addEventListener('change', () => (paper.matches ? toPaper() : fromPaper()));

for (const button of document.querySelectorAll('.take button')) {
  button.addEventListener('click', () => {
    const plot = button.closest('figure').querySelector('.plot');
    const figure = figureOf(plot, 'light');
    const size = { width: plot.clientWidth, height: plot._fullLayout.height };
    const paint = { ...figure.layout, paper_bgcolor: '#ffffff' };
    Plotly.downloadImage({ data: figure.data, layout: paint }, {
      ...size, format: button.dataset.kind, scale: button.dataset.kind === 'png' ? 2 : 1, filename: plot.dataset.name,
    });
  });
}
