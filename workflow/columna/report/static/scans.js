"use strict";
// The list of scans: search, filters, sorting, keys. One page of rows is in the document at a time.

(() => {
  const { element, option, meta } = columna;
  const get = (id) => document.getElementById(id);
  const PAGE = 50;
  const place = Object.fromEntries(meta.list.map((name, i) => [name, i]));
  const at = (row, name) => row[place[name]];
  const order = Object.fromEntries(meta.levels.map((name, i) => [name, i]));
  const HEAD = [
    ["scan_id", "Scan"], ["participant_id", "Participant"], ["session_id", "Session"], ["processing_status", "Status"],
    ["qc_verdict", "Verdict"], ["qc_reasons", "Why"], ["level_first", "Levels"], ["n_vertebrae_n", "Vertebrae"],
    ...meta.own.map((name) => [name, name]),
  ];
  const FILTERS = ["search", "verdict", "status", "code", "reason", "from", "to", "own", "value"];

  const rows = []; // in the order of their numbers; rows[i].number = i
  let shown = [];
  let page = 0;
  let sort = { name: "scan_id", down: false };
  let texts = []; // what search looks at, in lower case

  const distinct = (name) => [...new Set(rows.map((row) => at(row, name)).filter((v) => v !== null && v !== ""))];
  const compare = (a, b) => (typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), "en", { numeric: true }));

  function fill(id, values, label = (v) => v) {
    const select = get(id);
    const before = select.value;
    select.replaceChildren(columna.option("", "any"), ...values.map((v) => columna.option(v, label(v))));
    select.value = values.map(String).includes(before) ? before : "";
  }

  function fillFilters() {
    fill("verdict", ["pass", "review", "fail"]); // also those that no scan has: links lead to them
    fill("status", distinct("processing_status").sort());
    fill("code", distinct("processing_code").sort(), (code) => meta.reasons[code]?.meaning ?? code);
    fill("reason", [...new Set(distinct("qc_reasons").flatMap((text) => text.split(";")))].sort());
    fill("from", meta.levels);
    fill("to", meta.levels);
    fill("own", meta.own);
    fillValues();
  }

  function fillValues() {
    const name = get("own").value;
    get("value").disabled = !name;
    fill("value", name ? distinct(name).sort(compare).slice(0, 500) : []);
  }

  function test() {
    const wanted = Object.fromEntries(FILTERS.map((id) => [id, get(id).value]));
    const words = wanted.search.toLowerCase().split(/\s+/).filter(Boolean);
    const [from, to] = [order[wanted.from], order[wanted.to]];
    return (row) =>
      words.every((word) => texts[row.number].includes(word)) &&
      (!wanted.verdict || at(row, "qc_verdict") === wanted.verdict) &&
      (!wanted.status || at(row, "processing_status") === wanted.status) &&
      (!wanted.code || at(row, "processing_code") === wanted.code) &&
      (!wanted.reason || (at(row, "qc_reasons") ?? "").split(";").includes(wanted.reason)) &&
      (from === undefined || order[at(row, "level_first")] <= from) &&
      (to === undefined || order[at(row, "level_last")] >= to) &&
      (!wanted.own || !wanted.value || String(at(row, wanted.own)) === wanted.value);
  }

  function update() {
    shown = rows.filter(test());
    const key = sort.name === "level_first" ? (row) => order[at(row, "level_first")] : (row) => at(row, sort.name);
    if (sort.name !== "scan_id" || sort.down) {
      const sign = sort.down ? -1 : 1;
      const collator = new Intl.Collator("en", { numeric: true });
      const keyed = shown.map((row) => [key(row) ?? null, row]);
      keyed.sort(([a], [b]) => {
        if (a === null || b === null) return (a === null) - (b === null); // missing ones last
        return sign * (typeof a === "number" && typeof b === "number" ? a - b : collator.compare(a, b));
      });
      shown = keyed.map(([, row]) => row);
    }
    page = 0;
    draw();
  }

  function thumb(row) {
    if (!row[1]) return "";
    const image = element("img", { src: columna.picture(row[0]), alt: `Vertebrae of ${row[0]}`, loading: "lazy" });
    // of a scan that was not measured there is the plain plane alone
    return element("span", { class: at(row, "n_vertebrae_n") ? "thumb" : "thumb plain" }, image);
  }

  function reasons(row) {
    if (at(row, "processing_status") !== "done") {
      const code = at(row, "processing_code");
      return meta.reasons[code]?.meaning ?? code;
    }
    return (at(row, "qc_reasons") ?? "").split(";").filter(Boolean).join(", ");
  }

  const badge = (text) => (text ? element("span", { class: `badge ${text}` }, text) : "");

  function line(row) {
    const levels = at(row, "level_first") ? `${at(row, "level_first")} to ${at(row, "level_last")}` : "";
    const cells = [
      at(row, "participant_id"), at(row, "session_id"), badge(at(row, "processing_status")), badge(at(row, "qc_verdict")),
      reasons(row), levels, at(row, "n_vertebrae_n"), ...meta.own.map((name) => at(row, name)),
    ];
    return element(
      "tr", {},
      element("td", {}, thumb(row)),
      element("th", { scope: "row" }, element("a", { href: columna.scanPage(row.number), class: "scan" }, row[0] ?? "without a name")),
      ...cells.map((cell) => element("td", { class: typeof cell === "number" ? "number" : null }, cell instanceof Node ? cell : cell === null ? "" : columna.shown(cell))),
    );
  }

  function draw() {
    const pages = Math.max(Math.ceil(shown.length / PAGE), 1);
    page = Math.min(Math.max(page, 0), pages - 1);
    document.querySelector("#scans tbody").replaceChildren(...shown.slice(page * PAGE, (page + 1) * PAGE).map(line));
    get("count").textContent = `${shown.length} of ${meta.scans} scans`;
    get("where").textContent = `page ${page + 1} of ${pages}`;
    get("previous").disabled = page === 0;
    get("next").disabled = page === pages - 1;
    for (const head of document.querySelectorAll("#scans thead th[data-name]")) {
      const state = head.dataset.name === sort.name ? (sort.down ? "descending" : "ascending") : null;
      if (state) head.setAttribute("aria-sort", state);
      else head.removeAttribute("aria-sort");
    }
  }

  function drawHead() {
    const button = ([name, title]) => {
      const made = element("button", { type: "button" }, title);
      made.addEventListener("click", () => {
        sort = { name, down: sort.name === name && !sort.down };
        update();
      });
      return element("th", { scope: "col", "data-name": name }, made);
    };
    document.querySelector("#scans thead").replaceChildren(element("tr", {}, element("th", { scope: "col" }, "Picture"), ...HEAD.map(button)));
  }

  function turn(by) {
    page += by;
    draw();
    document.querySelector("#scans a.scan")?.focus();
  }

  function step(by) {
    const links = [...document.querySelectorAll("#scans a.scan")];
    const now = links.indexOf(document.activeElement);
    links[now < 0 ? 0 : Math.min(Math.max(now + by, 0), links.length - 1)]?.focus();
  }

  // The filters are part of the address, so that "back" and links from the cohort page find them.
  function remember() {
    const state = new URLSearchParams(FILTERS.map((id) => [id, get(id).value]).filter(([, value]) => value));
    history.replaceState(null, "", `#${state}`);
  }

  function recall() {
    const state = new URLSearchParams(location.hash.slice(1));
    get("own").value = state.get("own") ?? "";
    fillValues();
    for (const id of FILTERS) get(id).value = state.get(id) ?? "";
  }

  function changed(event) {
    if (event.target.id === "own") fillValues();
    update();
    remember();
  }

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || /INPUT|SELECT|TEXTAREA/.test(event.target.tagName)) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    const act = { "/": () => get("search").focus(), j: () => step(1), k: () => step(-1), n: () => turn(1), p: () => turn(-1) }[event.key];
    if (act) {
      event.preventDefault();
      act();
    }
  });
  get("filters").addEventListener("input", changed);
  get("filters").addEventListener("reset", () => setTimeout(() => { fillValues(); update(); remember(); }));
  get("filters").addEventListener("submit", (event) => event.preventDefault());
  get("previous").addEventListener("click", () => turn(-1));
  get("next").addEventListener("click", () => turn(1));
  window.addEventListener("hashchange", () => { recall(); update(); });

  async function start() {
    drawHead();
    for (let first = 0; first < meta.scans; first += meta.listRows) {
      const found = await columna.rows("list", first / meta.listRows);
      for (const row of found) {
        row.number = rows.length;
        rows.push(row);
        texts.push([row[0], at(row, "participant_id"), at(row, "session_id")].join(" ").toLowerCase());
      }
      if (first === 0) {
        fillFilters();
        recall();
        update();
      }
    }
    if (meta.scans > meta.listRows) {
      fillFilters();
      recall();
      update();
    }
    document.body.dataset.ready = "yes";
  }
  start().catch((error) => { get("count").textContent = error.message; });
})();
