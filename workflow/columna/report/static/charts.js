"use strict";
// Charts as Vega-Lite specifications; Vega draws them.

columna.charts = {
  config: { font: "system-ui, sans-serif", axis: { labelFontSize: 12, titleFontSize: 12 }, view: { stroke: null } },

  draw(where, specification) {
    const options = { renderer: "svg", actions: false, defaultStyle: false };
    return vegaEmbed(where, { $schema: "https://vega.github.io/schema/vega-lite/v6.json", config: this.config, ...specification }, options)
      .catch((error) => { where.textContent = `The chart cannot be drawn: ${error.message}`; });
  },

  title: (measure) => (measure.unit ? `${measure.title} (${measure.unit})` : measure.title),

  // Quantiles of groups as layers; `key` is the column with the group.
  layers(rows, key, measure) {
    const data = { values: rows.map((row) => ({ key: row[key], n: row.n, low: row.q[0], from: row.q[1], middle: row.q[2], to: row.q[3], high: row.q[4] })) };
    const x = { field: "key", type: "nominal", sort: null, title: null, axis: { labelAngle: key === "level" ? 0 : -40 } };
    const y = { type: "quantitative", scale: { zero: false }, title: this.title(measure) };
    const tooltip = ["key", "n", "low", "from", "middle", "to", "high"].map((field) => ({ field, title: { key, n: "values", low: "5 %", from: "25 %", middle: "median", to: "75 %", high: "95 %" }[field] }));
    return [
      { data, mark: { type: "rule", color: "#4d5661" }, encoding: { x, y: { ...y, field: "low" }, y2: { field: "high" } } },
      { data, mark: { type: "bar", color: "#8fc1e3", width: { band: 0.6 } }, encoding: { x, y: { ...y, field: "from" }, y2: { field: "to" }, tooltip } },
      { data, mark: { type: "tick", color: "#1b1f24", thickness: 2 }, encoding: { x, y: { ...y, field: "middle" } } },
    ];
  },

  // Groups with points that lead to their scans.
  groups(where, rows, key, measure) {
    const values = rows.flatMap((row) => row.points.map(([number, value]) => ({ key: row[key], value, scan: number, page: columna.scanPage(number) })));
    const points = {
      data: { values },
      mark: { type: "point", filled: true, size: 26, color: "#b34700", opacity: 0.75, cursor: "pointer" },
      encoding: {
        x: { field: "key", type: "nominal", sort: null },
        xOffset: { field: "scan", type: "quantitative", scale: { zero: false } },
        y: { field: "value", type: "quantitative" },
        href: { field: "page" },
        tooltip: [{ field: "key", title: key }, { field: "value" }, { field: "scan", title: "scan number" }],
      },
    };
    delete points.encoding.xOffset;
    return this.draw(where, { width: { step: 34 }, height: 300, layer: [...this.layers(rows, key, measure), points] });
  },

  // A scan among the cohort, by level.
  scan(where, rows, own, measure) {
    const line = {
      data: { values: own },
      layer: [{ mark: { type: "line", color: "#b34700" } }, { mark: { type: "point", filled: true, size: 50, color: "#b34700" } }],
      encoding: { x: { field: "key", type: "nominal", sort: null }, y: { field: "value", type: "quantitative" }, tooltip: [{ field: "key", title: "level" }, { field: "value", title: "this scan" }] },
    };
    const shown = new Set(own.map((point) => point.key));
    const layers = this.layers(rows.filter((row) => shown.has(row.level)), "level", measure);
    return this.draw(where, { width: { step: 40 }, height: 240, layer: [...layers, line] });
  },
};
