"use strict";
// What all pages share: data that arrives in script files, and elements made from text alone.

window.columna = {
  waiting: {},
  pages: {},

  // Called by the script files of `data/<kind>/<number>.js`.
  page(kind, number, rows) {
    this.pages[`${kind}/${number}`] = rows;
  },

  // The rows of a script file; the file is asked for once.
  rows(kind, number) {
    const name = `${kind}/${number}`;
    this.waiting[name] ??= new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = `data/${name}.js`;
      script.onload = () => resolve(this.pages[name]);
      script.onerror = () => reject(new Error(`data/${name}.js cannot be read`));
      document.head.append(script);
    });
    return this.waiting[name];
  },

  // An element. Text stays text: nothing is ever parsed as HTML.
  element(tag, attributes = {}, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (value !== null && value !== undefined && value !== false) made.setAttribute(name, value);
    }
    made.append(...children.filter((c) => c !== null && c !== undefined && c !== "").map((c) => (c instanceof Node ? c : String(c))));
    return made;
  },

  // A table of `rows` (arrays of text, numbers or elements); the first cell of a row is its header.
  table(caption, head, rows) {
    const { element } = this;
    const cell = (value, place) => {
      const content = value instanceof Node ? value : this.shown(value);
      if (place === 0) return element("th", { scope: "row" }, content);
      return element("td", { class: typeof value === "number" ? "number" : null }, content);
    };
    return element(
      "table", {},
      element("caption", {}, caption),
      element("thead", {}, element("tr", {}, ...head.map((h) => element("th", { scope: "col" }, h)))),
      element("tbody", {}, ...rows.map((row) => element("tr", {}, ...row.map(cell)))),
    );
  },

  shown(value) {
    if (value === null || value === undefined) return "\u2013";
    if (value === true) return "yes";
    if (value === false) return "no";
    return typeof value === "number" ? String(Math.round(value * 1000) / 1000) : value;
  },

  // Addresses, relative to the pages.
  scanPage: (number) => `scan.html?scan=${number}`,
  picture: (scanId) => `../pictures/${encodeURIComponent(scanId)}.webp`,
  file: (path) => `../${path.split("/").map(encodeURIComponent).join("/")}`,

  option(value, text = value) {
    return this.element("option", { value }, text);
  },
};
