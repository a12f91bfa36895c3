// The browser of paths, and the DAG's light. What models wrote is put on the page as text only.
"use strict";
(() => {
  const at = (id) => document.getElementById(id);

  // A box of the DAG opens its stage and lights up its lines.
  const edges = [...document.querySelectorAll(".dag .edge")];
  const light = (group) => {
    for (const edge of edges) {
      const mine = edge.dataset.from === group || edge.dataset.to === group;
      edge.classList.toggle("lit", group !== null && mine);
      edge.classList.toggle("dim", group !== null && !mine);
    }
  };
  const open = () => {
    const target = document.querySelector(".members:target");
    if (target) target.closest("details").open = true;
  };
  for (const box of document.querySelectorAll(".dag a")) {
    for (const event of ["mouseenter", "focus"]) box.addEventListener(event, () => light(box.dataset.group));
    for (const event of ["mouseleave", "blur"]) box.addEventListener(event, () => light(null));
    box.addEventListener("click", () => setTimeout(open));
  }
  addEventListener("hashchange", open);
  open();

  const source = at("data");
  if (!source) return;
  const data = JSON.parse(source.textContent);
  const PAGE = 25;
  const GOOD = ["kept", "right"];
  const fields = ["stage", "verdict", "end", "question", "text"];
  const word = (place) => (place < 0 ? "" : data.words[place]);
  const lower = (list, text) => list.map((each) => text(each).toLowerCase());
  const lowered = {
    get texts() {
      const texts = lower(data.paths, (path) => path.t + "\n" + (path.a ?? ""));
      Object.defineProperty(this, "texts", { value: texts });
      return texts;
    },
    get questions() {
      const questions = lower(data.questions, (question) => question[0] + "\n" + question[1]);
      Object.defineProperty(this, "questions", { value: questions });
      return questions;
    },
  };

  const make = (name, text, kind) => {
    const element = document.createElement(name);
    if (text !== undefined) element.textContent = text;
    if (kind) element.className = kind;
    return element;
  };
  const choices = (select, options, wanted) => {
    select.replaceChildren(
      ...options.map(([value, label]) => {
        const option = make("option", label);
        option.value = value;
        return option;
      }),
    );
    select.value = options.some(([value]) => value === wanted) ? wanted : options[0][0];
  };
  const counted = (places) => {
    const counts = new Map();
    for (const place of places) counts.set(place, (counts.get(place) ?? 0) + 1);
    return [...counts].filter(([place]) => place >= 0).sort((a, b) => b[1] - a[1]);
  };

  let found = [];
  let page = 0;
  const stage = () => data.stages[Number(at("stage").value)];

  // The verdicts and ends that the chosen stage has.
  const offer = (verdict, end) => {
    const rows = stage().rows;
    const verdicts = counted(rows.map((row) => row[1]));
    const dropped = rows.some((row) => word(row[1]) === "kept") && verdicts.length > 2;
    const label = (place) => (stage().what === "verdicts" && word(place) !== "kept" ? "dropped by " : "") + word(place);
    choices(
      at("verdict"),
      [
        ["", "any"],
        ...(dropped ? [["-", "dropped by any step"]] : []),
        ...verdicts.map(([place, count]) => [word(place), `${label(place)} (${count})`]),
      ],
      verdict,
    );
    at("verdict").disabled = verdicts.length === 0;
    const ends = counted(rows.map((row) => data.paths[row[0]].e));
    choices(at("end"), [["", "any"], ...ends.map(([place, count]) => [word(place), `${word(place)} (${count})`])], end);
  };

  const search = () => {
    const verdict = at("verdict").value;
    const end = at("end").value;
    const question = at("question").value.trim().toLowerCase();
    const text = at("text").value.trim().toLowerCase();
    found = stage().rows.filter(([place, judged]) => {
      const path = data.paths[place];
      if (verdict === "-" ? word(judged) === "kept" : verdict !== "" && word(judged) !== verdict) return false;
      if (end !== "" && word(path.e) !== end) return false;
      if (question !== "" && !lowered.questions[path.q].includes(question)) return false;
      return text === "" || lowered.texts[place].includes(text);
    });
  };

  const number = (value) => (Math.abs(value) >= 100 ? value.toFixed(1) : value.toFixed(3));
  const item = ([place, judged, because]) => {
    const path = data.paths[place];
    const row = make("li");
    const facts = make("div", undefined, "facts");
    const fact = (text, kind) => facts.append(make("span", text, kind));
    if (judged >= 0) {
      const verdict = word(judged);
      const good = GOOD.includes(verdict);
      const step = stage().what === "verdicts" && !good;
      fact((step ? "dropped by " : "") + verdict, good ? "verdict good" : "verdict");
    }
    if (because >= 0) fact(word(because));
    if (path.f >= 0) fact("first token " + word(path.f));
    if (path.d !== null) fact("draw " + path.d);
    if (path.n !== null) fact(path.n + " tokens");
    if (path.p !== null) fact("perplexity " + number(path.p));
    for (const [name, value] of path.s) fact(data.scores[name] + " " + (value === null ? "unparsed" : number(value)));
    fact("end: " + word(path.e));
    row.append(facts, make("p", path.t.trim() === "" ? "(nothing)" : path.t.trim()));
    if (path.a !== null) row.append(make("p", path.a.trim(), "answer"));
    return row;
  };

  const show = () => {
    const pages = Math.max(1, Math.ceil(found.length / PAGE));
    page = Math.min(Math.max(0, page), pages - 1);
    const rows = [];
    let asked = -1;
    for (const row of found.slice(page * PAGE, (page + 1) * PAGE)) {
      const q = data.paths[row[0]].q;
      if (q !== asked) {
        const [id, words, gold] = data.questions[q];
        const heading = make("li", undefined, "asks");
        heading.append(make("b", id), make("span", ` gold answer: ${gold}`, "quiet"), make("p", words));
        rows.push(heading);
        asked = q;
      }
      rows.push(item(row));
    }
    at("rows").replaceChildren(...rows);
    const all = stage().rows.length;
    const questions = new Set(found.map((row) => data.paths[row[0]].q)).size;
    const grouped = (count) => String(count).replace(/\B(?=(\d{3})+$)/g, ",");
    at("count").textContent =
      (found.length === 0 ? "Nothing matches: " : "") +
      `${grouped(found.length)} of ${grouped(all)} rows, of ${grouped(questions)} ${questions === 1 ? "question" : "questions"}`;
    at("page").value = page + 1;
    at("page").max = pages;
    at("pages").textContent = pages;
    at("previous").disabled = page === 0;
    at("next").disabled = page === pages - 1;
    at("pager").hidden = pages === 1;
  };

  // What is shown is in the address, so that it can be sent to someone.
  const remember = () => {
    const state = new URLSearchParams();
    state.set("stage", stage().name);
    for (const field of fields.slice(1)) if (at(field).value !== "") state.set(field, at(field).value);
    if (page > 0) state.set("page", page + 1);
    try {
      history.replaceState(null, "", "#paths?" + state);
    } catch {
      // Some browsers keep the address of a file as it is.
    }
  };
  const recall = () => {
    const [place, query] = location.hash.split("?", 2);
    const state = new URLSearchParams(place === "#paths" ? (query ?? "") : "");
    const named = data.stages.findIndex((each) => each.name === state.get("stage"));
    at("stage").value = String(Math.max(0, named));
    offer(state.get("verdict"), state.get("end"));
    at("question").value = state.get("question") ?? "";
    at("text").value = state.get("text") ?? "";
    page = Number(state.get("page") ?? 1) - 1 || 0;
    search();
    show();
    if (query) at("paths").scrollIntoView();
  };

  const changed = () => {
    page = 0;
    search();
    show();
    remember();
  };
  at("stage").addEventListener("change", () => {
    offer(at("verdict").value, at("end").value);
    changed();
  });
  for (const id of ["verdict", "end"]) at(id).addEventListener("change", changed);
  let waiting = 0;
  for (const id of ["question", "text"]) {
    at(id).addEventListener("input", () => {
      clearTimeout(waiting);
      // Typing goes on undisturbed over many paths.
      waiting = setTimeout(changed, 150);
    });
  }
  at("filter").addEventListener("submit", (event) => event.preventDefault());
  at("filter").addEventListener("reset", () =>
    setTimeout(() => {
      offer("", "");
      changed();
    }),
  );
  const turn = (to) => {
    page = to;
    show();
    remember();
    at("count").scrollIntoView({ block: "start" });
  };
  at("previous").addEventListener("click", () => turn(page - 1));
  at("next").addEventListener("click", () => turn(page + 1));
  at("page").addEventListener("change", () => turn(Number(at("page").value) - 1 || 0));
  at("pager").addEventListener("submit", (event) => event.preventDefault());
  addEventListener("hashchange", () => {
    if (location.hash.startsWith("#paths?")) recall();
  });

  choices(
    at("stage"),
    data.stages.map((each, place) => [String(place), `${each.name} (${each.what})`]),
    "0",
  );
  at("filter").hidden = false;
  recall();
})();
