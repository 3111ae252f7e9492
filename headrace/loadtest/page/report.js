"use strict";

const FIGURES = JSON.parse(document.getElementById("figures").textContent);
const CONFIG = {
  responsive: true,
  displaylogo: false,
  showSendToCloud: false, /* where plotly would upload a chart */
  modeBarButtons: [["toImage"], ["zoom2d", "pan2d", "resetScale2d"]],
};

/* The colours of the page are those of its plots. */
function colour(look) {
  const style = getComputedStyle(document.documentElement);
  const [ink, line, card] = ["--ink", "--line", "--card"].map((name) => style.getPropertyValue(name));
  look.font.color = ink;
  look.xaxis.gridcolor = look.yaxis.gridcolor = line;
  look.hoverlabel = { ...look.hoverlabel, bgcolor: card, bordercolor: line, font: { color: ink } };
  look.modebar = { bgcolor: "rgba(0,0,0,0)", color: line, activecolor: ink };
}

function draw() {
  for (const [name, figure] of Object.entries(FIGURES)) {
    colour(figure.layout.template.layout);
    Plotly.newPlot(name, figure.data, figure.layout, CONFIG);
  }
}

draw();
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
