"use strict";
(() => {
  const figures = JSON.parse(document.getElementById("figures").textContent);
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const narrow = window.matchMedia("(max-width: 560px)");

  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  // A phone has room for a few ticks and for short names of limits alone.
  function fitted(layout) {
    if (!narrow.matches) return layout;
    const keep = (layout.xaxis.ticktext || []).map((text) => layout.xaxis.tickvals.length <= 6 || /^10* /.test(text));
    const few = (values) => values && values.filter((_, i) => keep[i]);
    return {
      ...layout,
      xaxis: { ...layout.xaxis, tickvals: few(layout.xaxis.tickvals), ticktext: few(layout.xaxis.ticktext), tickangle: 0 },
      annotations: (layout.annotations || []).map((a) => ({ ...a, text: a.short || a.text })),
      legend: layout.legend && { ...layout.legend, xref: "container", entrywidth: 100, font: { size: 11 }, itemclick: false, itemdoubleclick: false },
    };
  }

  function themed(figure, printing) {
    const mode = dark.matches && !printing ? "dark" : "light";
    const data = figure.data.map((trace) => {
      const colour = trace.meta[mode];
      const copy = { ...trace };
      if (narrow.matches) delete copy.legendgroup;  // groups stand below each other, however short
      if (trace.marker) {
        copy.marker = { ...trace.marker, color: colour, line: { ...trace.marker.line, color: css("--ink") } };
      }
      if (trace.line) copy.line = { ...trace.line, color: colour };
      if (trace.error_y) copy.error_y = { ...trace.error_y, color: colour };
      if (trace.error_x) copy.error_x = { ...trace.error_x, color: colour };
      return copy;
    });
    const axis = { gridcolor: css("--line"), linecolor: css("--line"), zeroline: false, automargin: true, tickfont: { size: narrow.matches ? 11 : 13 }, fixedrange: narrow.matches };
    const given = fitted(figure.layout);
    const layout = {
      ...given,
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: "system-ui, sans-serif", size: narrow.matches ? 12 : 14, color: css("--ink") },
      margin: { l: 60, r: 16, t: 24, b: given.legend ? (narrow.matches ? 150 : 120) : 56, ...given.margin },
      hoverlabel: { align: "left", bgcolor: css("--card"), bordercolor: css("--soft"), font: { color: css("--ink"), size: 13 } },
      xaxis: { ...axis, ...given.xaxis },
      yaxis: { ...axis, ...given.yaxis },
      shapes: (given.shapes || []).map((s) => ({ ...s, line: { ...s.line, color: css("--warn") } })),
      annotations: (given.annotations || []).map(({ short, label, ...a }) => ({
        ...a,
        arrowcolor: css("--soft"),
        ...(a.showarrow ? { bgcolor: css("--card"), borderpad: 1 } : {}),
        font: { color: a.showarrow || label ? css("--ink") : css("--warn"), size: 12 },
      })),
      legend: { ...given.legend, orientation: "h", yref: "container", yanchor: "bottom", y: 0, x: 0 },
      dragmode: narrow.matches ? false : "zoom",
    };
    return { data, layout };
  }

  function draw(printing = false) {
    for (const [name, figure] of Object.entries(figures)) {
      const { data, layout } = themed(figure, printing);
      Plotly.react(`plot-${name}`, data, layout, {
        responsive: true,
        displaylogo: false,
        displayModeBar: false,
      });
    }
  }

  draw();
  dark.addEventListener("change", () => draw());
  narrow.addEventListener("change", () => draw());
  window.addEventListener("beforeprint", () => draw(true));
  window.addEventListener("afterprint", () => draw());
})();
