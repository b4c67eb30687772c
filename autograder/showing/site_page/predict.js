// Predict, then see. Each .predict holds a figure and, in data-asked, the question that stands in its place until somebody has
// answered or skipped it. The answer stays in this browser. Without scripts the figure is open.
for (const place of document.querySelectorAll(".predict")) {
  const { question, texts, slider, happened } = JSON.parse(place.dataset.asked);
  const figure = place.querySelector("figure"), form = document.createElement("form"), group = document.createElement("fieldset");
  const legend = document.createElement("legend"), said = document.createElement("p"), name = `${document.title}: ${question}`;
  group.className = said.className = "asked";
  legend.innerHTML = "<b>Predict, then see.</b> ";
  legend.append(question);
  group.append(legend);
  said.setAttribute("role", "status");
  const memory = (use) => { try { return use(localStorage); } catch { return null; } };  // a browser may refuse it

  function add(parent, tag, properties, ...inside) {
    const made = Object.assign(document.createElement(tag), properties);
    made.append(...inside);
    parent.append(made);
    return made;
  }

  function open(answer, focus) {
    said.append(question, document.createElement("br"), answer in texts ? "You predicted " : "What happens: ");
    if (answer in texts) {
      add(said, "b", { textContent: texts[answer] });
      said.append(". What happens: ");
    }
    add(said, "b", { textContent: happened });
    form.remove();
    figure.hidden = false;
    if (focus) figure.querySelector("input")?.focus({ preventScroll: true });
  }

  function commit(answer) {
    memory((kept) => kept.setItem(name, answer));
    open(answer, true);
  }

  if (slider) {
    const label = add(group, "label", {}), middle = Math.floor(texts.length / 2);
    const range = add(label, "input", { type: "range", name: "answer", min: 0, max: texts.length - 1, value: middle });
    const shown = add(label, "output", {});
    const tell = () => range.setAttribute("aria-valuetext", (shown.textContent = texts[range.value]));
    range.setAttribute("aria-label", question);
    range.addEventListener("input", tell);
    tell();
  } else {
    texts.forEach((text, value) => add(add(group, "label", {}), "input", { type: "radio", name: "answer", value }).after(text));
  }
  add(group, "button", {}, "That is my prediction");
  add(group, "button", { type: "button", onclick: () => commit("skipped") }, "Skip");
  const message = add(group, "p", {});
  message.setAttribute("role", "alert");
  form.append(group);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const answer = new FormData(form).get("answer");
    if (answer === null) message.textContent = "Choose an answer first, or press Skip.";
    else commit(answer);
  });
  figure.before(form, said);
  figure.hidden = true;
  const kept = memory((storage) => storage.getItem(name));
  if (kept in texts || kept === "skipped") open(kept, false);
}
