"use strict";
// The page of a scan.

(() => {
  const { element, meta, charts } = columna;
  const get = (id) => document.getElementById(id);
  const number = Number.parseInt(new URLSearchParams(location.search).get("scan") ?? "0", 10);
  const named = (names, values) => Object.fromEntries(names.map((name, i) => [name, values?.[i] ?? null]));

  function section(title, ...content) {
    const id = `s-${title.toLowerCase().replace(/\W+/g, "-")}`;
    return element("section", { "aria-labelledby": id }, element("h2", { id }, title), ...content);
  }

  const scrolled = (label, table) => element("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": label }, table);
  const badge = (text) => element("span", { class: `badge ${text}` }, text);

  function verdict(scan, facts, findings) {
    if (scan.processing_status !== "done") {
      const known = meta.reasons[scan.processing_code];
      return section(
        "Result",
        element("p", {}, badge(scan.processing_status), ` in ${scan.processing_stage}: ${facts.processing_reason ?? known?.meaning ?? scan.processing_code}`),
        known ? element("p", { class: "note" }, `What to do: ${known.advice}.`) : null,
      );
    }
    const range = ({ low, high }) => {
      if (low === null) return high === null ? "" : `at most ${high}`;
      return high === null ? `at least ${low}` : `${low} to ${high}`;
    };
    const rows = findings.map((finding) => {
      const rule = meta.rules[finding.rule_id] ?? { text: finding.rule_id, low: null, high: null, unit: "" };
      const says = finding.verdict ?? `no answer: ${meta.reasons[finding.value_status]?.meaning ?? finding.value_status}`;
      const unit = rule.unit === "1" || rule.unit === "count" ? "" : rule.unit;
      return [rule.text, finding.level ?? finding.item, finding.verdict ? badge(says) : says, finding.value, `${range(rule)} ${unit}`, finding.rule_id];
    });
    return section(
      "Verdict",
      element("p", {}, badge(scan.qc_verdict), rows.length ? " What the rules say:" : " No rule asks for a look."),
      rows.length ? scrolled("Rules", columna.table("Rules that ask for a look, or have no answer", ["What is meant", "Where", "Says", "Value", "Fine", "Rule"], rows)) : null,
    );
  }

  function legend() {
    const items = meta.colours.filter((c) => c.mask === "semantic").map((c) => {
      const swatch = element("i");
      swatch.style.background = c.colour;
      return element("li", {}, swatch, c.name);
    });
    return element("details", {}, element("summary", {}, "Colours of the structures"), element("ul", { class: "legend" }, ...items));
  }

  function picture(scan) {
    if (!scan.picture) return null;
    const levels = scan.level_first ? `, levels ${scan.level_first} to ${scan.level_last}` : "";
    return section(
      "Picture",
      element(
        "figure", {},
        element("img", { class: "picture", src: columna.picture(scan.scan_id), alt: `Planes along the spine of ${scan.scan_id}${levels}` }),
        element("figcaption", {}, "Sagittal plane through the middle of bodies and canal, plain, with structures, and with vertebrae; coronal surface through the bodies. A ? marks a doubtful level, \u00d7 a piece of bone that is no vertebra."),
      ),
      legend(),
    );
  }

  function levels(vertebrae) {
    const doubt = (v) => {
      if (v.presence === "fragment") return "no vertebra of its own";
      if (!v.level) return "without a name";
      return v.level_p_ratio !== null && v.level_p_ratio < meta.doubtBelow ? "doubtful name" : "";
    };
    const rows = vertebrae.map((v) => [v.level ?? v.vertebra, doubt(v), v.level_p_ratio, v.level_second ? `${v.level_second}, ${columna.shown(v.level_second_p_ratio)}` : null, v.level_anchor, meta.presence[v.presence] ?? v.presence]);
    return section("Levels", scrolled("Levels", columna.table("Vertebrae from the top", ["Level", "Doubt", "Probability of the name", "Second name", "Rests on", "Seen"], rows)));
  }

  // level -> measure -> value, of all tables
  function values(data) {
    const found = new Map();
    for (const [table, columns] of Object.entries(meta.measures)) {
      const before = table === "vertebrae" ? meta.level.length : 1;
      for (const row of data[table] ?? []) {
        if (!row[0]) continue;
        const own = found.get(row[0]) ?? {};
        columns.forEach((name, i) => { own[name] ??= row[before + i]; });
        found.set(row[0], own);
      }
    }
    return new Map([...found].sort(([a], [b]) => meta.levels.indexOf(a) - meta.levels.indexOf(b)));
  }

  function measures(data) {
    const own = values(data);
    const select = element("select", { id: "measure" }, ...columna.quantiles.map((m, i) => columna.option(i, `${m.title} (${m.table.replace("_", " and ")})`)));
    const chart = element("div", { class: "chart" });
    const note = element("p", { class: "note" });
    const show = () => {
      const measure = columna.quantiles[select.value];
      const points = [...own].map(([key, found]) => ({ key, value: found[measure.column] })).filter((p) => p.value !== null && p.value !== undefined);
      note.textContent = measure.description;
      if (points.length) charts.scan(chart, measure.levels, points, measure);
      else chart.textContent = "This scan has no value of it.";
    };
    select.addEventListener("change", show);
    const made = section("Measures", element("p", {}, element("label", { for: "measure" }, "Measure "), select), note, chart, all(own));
    show();
    return made;
  }

  // All measures of all levels; what lies outside the middle 90 % of the cohort is marked.
  function all(own) {
    const limits = Object.fromEntries(columna.quantiles.map((m) => [m.column, Object.fromEntries(m.levels.map((row) => [row.level, row.q]))]));
    const head = ["Level", ...columna.quantiles.map((m) => charts.title(m))];
    const rows = [...own].map(([level, found]) => [level, ...columna.quantiles.map((m) => {
      const value = found[m.column];
      const q = limits[m.column][level];
      if (value === null || value === undefined || !q || (value >= q[0] && value <= q[4])) return value;
      const low = value < q[0];
      return element("span", { class: `outside${low ? " low" : ""}`, title: `cohort: ${q[0]} to ${q[4]}, median ${q[2]}` }, columna.shown(value));
    })]);
    const table = columna.table("All measures; arrows mark values outside the middle 90 % of the cohort", head, rows);
    return element("details", {}, element("summary", {}, "All measures of all levels"), scrolled("All measures", table));
  }

  function spine(data) {
    const rows = meta.spine.map((m, i) => [charts.title(m), data.spine?.[i] ?? null, m.description]).filter((row) => row[1] !== null);
    return rows.length ? section("Spine as a whole", scrolled("Spine", columna.table("Measures of the spine", ["Measure", "Value", "Definition"], rows))) : null;
  }

  function commands(scan, files) {
    const quote = (text) => `'${text.replaceAll("'", "'\\''")}'`;
    const path = (name) => quote(`${meta.results}/${name}`);
    const image = `"$(columna path ${quote(scan.scan_id)} --results ${quote(meta.results)})"`;
    const slicer = "import sys, slicer; slicer.util.loadVolume(sys.argv[1]); slicer.util.loadSegmentation(sys.argv[2])";
    return [
      ["ITK-SNAP", `itksnap -g ${image} -s ${path(files.instance)}`],
      ["3D Slicer", `Slicer --python-code ${quote(slicer)} ${image} ${path(files.instance)}`],
      ["napari", `napari --plugin napari-nifti ${image} ${path(files.instance)}`],
    ];
  }

  function masks(scan, files) {
    if (scan.processing_status !== "done") return null;
    const names = { semantic: "Mask of the structures", instance: "Mask of the vertebrae", points: "Centres" };
    const links = Object.entries(names).map(([kind, text]) => element("li", {}, element("a", { href: columna.file(files[kind]) }, text)));
    const shown = commands(scan, files).flatMap(([program, line]) => [element("h3", {}, program), element("pre", { tabindex: 0 }, line)]);
    return section(
      "Masks", element("ul", {}, ...links),
      element("p", { class: "note" }, `To look at the scan with its mask, from the folder that holds the folder ${meta.results} (columna path says where the scan lies):`),
      ...shown,
    );
  }

  function provenance(scan, facts) {
    const own = meta.own.map((name) => [name, scan[name], "of the cohort"]);
    const rows = [["participant_id", scan.participant_id, ""], ["session_id", scan.session_id, ""], ...own, ...meta.facts.map((name) => [name, facts[name], meta.factTexts[name]])];
    return section("Scan and provenance", scrolled("Provenance", columna.table("Where it comes from", ["Column", "Value", "Meaning"], rows.filter((row) => row[1] !== null && row[1] !== ""))));
  }

  function neighbours() {
    for (const [id, to] of [["previous", number - 1], ["next", number + 1]]) {
      if (to >= 0 && to < meta.scans) get(id).href = columna.scanPage(to);
      else get(id).hidden = true;
    }
  }

  async function start() {
    neighbours();
    const data = (await columna.rows("scan", Math.floor(number / meta.pageScans)))[number % meta.pageScans];
    const scan = named(meta.list, data.row);
    const facts = named(meta.facts, data.facts);
    const findings = (data.findings ?? []).map((row) => named(meta.finding, row));
    const vertebrae = (data.vertebrae ?? []).map((row) => named(meta.level, row));
    get("title").textContent = scan.scan_id ?? "Scan without a name";
    document.title = `${scan.scan_id} - columna`;
    if (columna.review) get("title").after(element("p", {}, element("a", { href: columna.review(scan.scan_id) }, "Rate it, put its levels right"))); // `columna review`
    get("scan").replaceChildren(...[
      picture(scan), verdict(scan, facts, findings), vertebrae.length ? levels(vertebrae) : null,
      vertebrae.length ? measures(data) : null, spine(data), masks(scan, data.files), provenance(scan, facts),
    ].filter(Boolean));
    document.body.dataset.ready = "yes";
  }
  start().catch((error) => { get("scan").textContent = `There is no such scan: ${error.message}`; });
})();
