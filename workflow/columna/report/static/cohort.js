"use strict";
// The cohort page: distributions by level, and drift.

(() => {
  const { element, option, charts } = columna;
  const get = (id) => document.getElementById(id);

  const link = ([number, value]) => element("a", { href: columna.scanPage(number) }, columna.shown(value));

  function table(where, caption, name, rows, key) {
    const farthest = (row) => {
      const links = row.points.slice().sort((a, b) => Math.abs(b[1] - row.q[2]) - Math.abs(a[1] - row.q[2])).slice(0, 6);
      return element("span", {}, ...links.flatMap((point) => [link(point), " "]));
    };
    const head = [name, "values", "5 %", "25 %", "median", "75 %", "95 %", "scans farthest from the median"];
    where.replaceChildren(columna.table(caption, head, rows.map((row) => [row[key], row.n, ...row.q, farthest(row)])));
  }

  function choose(select, names, show) {
    select.replaceChildren(...names.map((name, place) => columna.option(place, name)));
    select.addEventListener("change", show);
  }

  function showLevels() {
    const measure = columna.distributions[get("measure").value];
    get("measure-text").textContent = measure.description;
    charts.groups(get("distribution"), measure.levels, "level", measure);
    table(get("distribution-table"), charts.title(measure), "level", measure.levels, "level");
  }

  function showDrift() {
    const { groupings, measures } = columna.drift;
    const measure = measures[get("drift-measure").value];
    const by = groupings[get("drift-by").value];
    const rows = measure.by[by] ?? [];
    get("drift-text").textContent = measure.description;
    charts.groups(get("drift"), rows, "name", measure);
    table(get("drift-table"), `${charts.title(measure)} by ${by}`, by, rows, "name");
  }

  choose(get("measure"), columna.distributions.map((m) => `${m.title} (${m.table.replace("_", " and ")})`), showLevels);
  showLevels();
  const { groupings, measures } = columna.drift;
  if (groupings.length) {
    choose(get("drift-measure"), measures.map((m) => m.title), showDrift);
    choose(get("drift-by"), groupings, showDrift);
    showDrift();
  } else {
    get("drift").textContent = "The cohort has no column that sorts its scans into groups.";
    for (const id of ["drift-measure", "drift-by"]) get(id).disabled = true;
  }
})();
