// Live figures without a kernel. Each figure.moving holds JSON: controls, and strips of frames that lie side by side. The
// last control runs along a strip; the others choose the strip. Without scripts the still picture stays as it is.
for (const figure of document.querySelectorAll("figure.moving")) {
  const { controls, strips, captions, size, rest } = JSON.parse(figure.querySelector("script").textContent);
  const still = figure.querySelector("img"), note = figure.querySelector("figcaption");
  const along = controls[controls.length - 1].texts.length;
  const canvas = document.createElement("canvas"), below = document.createElement("p"), bar = document.createElement("div");
  [canvas.width, canvas.height] = size;
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", still.alt);
  canvas.hidden = true;
  below.setAttribute("aria-live", "polite");
  bar.className = "controls";
  const rows = [], sliders = controls.map(({ label, texts, first, order }) => {
    const row = document.createElement("label"), slider = document.createElement("input");
    const name = document.createElement("span"), shown = document.createElement("output");
    name.textContent = label;
    Object.assign(slider, { type: "range", min: 0, max: texts.length - 1, step: 1, value: first });
    slider.addEventListener("input", show);
    row.append(name, slider, shown);
    rows[order] = row;
    return { slider, shown, texts };
  });
  bar.append(...rows.filter(Boolean));
  const loaded = strips.map(() => null);

  function strip(number) {
    if (loaded[number]) return loaded[number];
    const picture = new Image();
    picture.onload = show;
    picture.onerror = () => {
      loaded[number] = null;
      note.textContent = "The pictures of this figure did not load: reload the page when there is a network, "
        + "or copy the whole folder of the site.";
    };
    picture.src = strips[number];
    return (loaded[number] = picture);
  }

  function show() {
    let place = 0;
    for (const { slider, shown, texts } of sliders) {
      place = place * texts.length + Number(slider.value);
      shown.textContent = texts[slider.value];
      slider.setAttribute("aria-valuetext", texts[slider.value]);
    }
    const picture = strip(Math.floor(place / along));
    if (!picture.complete || !picture.naturalWidth) return;
    const [width, height] = size;
    canvas.getContext("2d").drawImage(picture, (place % along) * width, 0, width, height, 0, 0, width, height);
    below.innerHTML = captions[place];
    canvas.hidden = false;
    still.hidden = true;
  }

  note.textContent = "Drawn beforehand by the reference solution; in the notebook your own functions draw it"
    + (rest.length > 3 ? `, with ${rest.length} more controls` : rest.length ? ", with a control for " + rest.join(" and ") : "")
    + ".";
  still.before(bar, canvas);
  still.after(below);
  new IntersectionObserver((entries, observer) => {
    if (!entries.some((entry) => entry.isIntersecting)) return;
    observer.disconnect();
    show();
  }, { rootMargin: "600px" }).observe(figure);
}
