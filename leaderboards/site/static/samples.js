"use strict";
// The sample browser. Data come as scripts, since a page on disk may not read files: `strop.index` with the marks of
// every sample, then `strop.samples` a page at a time. All that a model said is set as text, never as markup.
window.strop = (() => {
  const files = new Map(); // number of a file of samples -> what it holds
  const waiting = new Map(); // number -> those who wait for it
  let index = null;
  let state = null; // {round, show, page}
  let drawn = 0; // counts drawings, so that a slow one does not overwrite a later one

  const all = (selector) => [...document.querySelectorAll(selector)];
  const element = (name, properties, ...inside) => {
    const made = Object.assign(document.createElement(name), properties);
    made.append(...inside.filter((one) => one !== null));
    return made;
  };

  const matching = () => {
    const bit = index.filters[state.show];
    const flags = index.flags[state.round];
    return flags.flatMap((flag, place) => ((flag & bit) === bit ? [place] : []));
  };

  function load(number) {
    if (files.has(number)) return Promise.resolve(files.get(number));
    return new Promise((resolve, reject) => {
      if (waiting.has(number)) return waiting.get(number).push(resolve);
      waiting.set(number, [resolve]);
      const script = element("script", { src: `${index.folder}${number}.js` });
      script.addEventListener("error", () => reject(new Error(`${script.src} is not there`)));
      document.head.append(script);
    });
  }

  function picture(found) {
    if (found === null) return element("p", { className: "nothing" }, "The picture is missing or does not open.");
    const [src, width, height] = found;
    return element("img", { src, width, height, alt: "The picture that was asked about", loading: "lazy" });
  }

  function answer(title, given) {
    const box = element("section", { className: "answer" });
    if (!given) {
      box.append(element("h3", {}, title), element("p", { className: "nothing" }, "Was not asked."));
      return box;
    }
    const said = element("blockquote", { dir: "auto" });
    for (const [text, kind] of given.parts) {
      const meaning = { right: "in the picture", wrong: "not in the picture" }[kind];
      said.append(kind ? element("mark", { className: kind, title: meaning }, text) : text);
    }
    if (!given.parts.length) said.append(element("span", { className: "nothing" }, "(silence)"));
    const named = given.named.map(([name, right]) =>
      element("li", { className: right ? "right" : "wrong" }, `${right ? "✓" : "✗"} ${name}`));
    const profiles = Object.entries(given.profiles).map(([name, read]) =>
      element("div", {}, element("dt", {}, name), element("dd", {}, read)));
    box.append(
      element("h3", {}, title, " ", element("span", { className: "mark" }, `mark ${given.mark}`)),
      said,
      ...(named.length ? [element("ul", { className: "named", ariaLabel: "Objects named" }, ...named)] : []),
      ...(given.unread ? [element("p", { className: "pill worse" }, "unread")] : []),
      ...(given.read === null ? [] : [element("p", { className: "read" }, `read as: ${given.read}`)]),
      ...(profiles.length ? [element("dl", { className: "profiles" }, ...profiles)] : []),
    );
    return box;
  }

  function card(place, sample) {
    const flags = index.flags[state.round][place];
    const words = Object.entries(index.filters).filter(([word, bit]) => bit && word !== "wrong" && flags & bit);
    const later = Number(state.round) > 0;
    const pictures = sample.pictures.map(picture);
    if (!pictures.length) pictures.push(element("p", { className: "nothing" }, "The picture is not here."));
    return element("article", { className: "sample" },
      element("header", {}, element("h2", {}, sample.id),
        ...words.map(([word]) => element("span", { className: `pill ${word.replace(" ", "-")}` }, word))),
      element("div", { className: "pictures" }, ...pictures),
      element("dl", { className: "asked" },
        element("div", {}, element("dt", {}, "Question"), element("dd", { dir: "auto" }, sample.prompt ?? "not here")),
        element("div", {}, element("dt", {}, "Right answer"), element("dd", { dir: "auto" }, sample.gold ?? "not here"))),
      element("div", { className: "answers" },
        ...("0" in index.flags ? [answer(later ? "Seed" : "Answer", sample.answers[0])] : []),
        ...(later ? [answer(`Round ${state.round}`, sample.answers[state.round])] : [])));
  }

  async function draw() {
    const mine = ++drawn;
    const flags = index.flags[state.round];
    for (const button of all("[data-show]")) {
      const bit = index.filters[button.dataset.show];
      button.setAttribute("aria-pressed", String(button.dataset.show === state.show));
      button.querySelector("[data-count]").textContent = flags.filter((flag) => (flag & bit) === bit).length;
    }
    const found = matching();
    const pages = Math.max(1, Math.ceil(found.length / index.page));
    state.page = Math.min(Math.max(1, state.page), pages);
    const start = (state.page - 1) * index.page;
    const places = found.slice(start, start + index.page);
    for (const where of all("[data-where]")) {
      where.textContent = found.length
        ? `${start + 1}–${start + places.length} of ${found.length}`
        : "No sample here is one of these.";
    }
    for (const button of all("[data-step]")) {
      const page = state.page + Number(button.dataset.step);
      button.disabled = page < 1 || page > pages;
    }
    document.querySelector("[data-round]").value = state.round;
    history.replaceState(null, "", `#${new URLSearchParams(state)}`);
    const samples = document.querySelector("[data-samples]");
    let cards;
    try {
      cards = await Promise.all(places.map(async (place) => {
        const file = await load(Math.floor(place / index.page));
        return card(place, file[place % index.page]);
      }));
    } catch (error) {
      cards = [element("p", { className: "warning" }, error.message)];
    }
    if (mine === drawn) samples.replaceChildren(...cards);
  }

  function restore() {
    const kept = new URLSearchParams(location.hash.slice(1));
    const rounds = Object.keys(index.flags);
    const round = rounds.includes(kept.get("round")) ? kept.get("round") : rounds.at(-1);
    const show = Object.hasOwn(index.filters, kept.get("show")) ? kept.get("show") : Number(round) ? "changed" : "all";
    state = { round, show, page: Number.parseInt(kept.get("page") ?? "1", 10) || 1 };
    draw();
  }

  return {
    index(found) {
      index = found;
      for (const button of all("[data-show]")) {
        button.addEventListener("click", () => {
          Object.assign(state, { show: button.dataset.show, page: 1 });
          draw();
        });
      }
      for (const button of all("[data-step]")) {
        button.addEventListener("click", () => {
          state.page += Number(button.dataset.step);
          draw();
          window.scrollTo(0, 0);
        });
      }
      document.querySelector("[data-round]").addEventListener("change", (event) => {
        Object.assign(state, { round: event.target.value, page: 1 });
        draw();
      });
      window.addEventListener("hashchange", restore);
      restore();
    },
    samples(number, found) {
      files.set(number, found);
      for (const resolve of waiting.get(number) ?? []) resolve(found);
      waiting.delete(number);
    },
  };
})();
