"""What the browser's tests do with a live figure: look at its picture, watch it, move a slider by keys and by mouse."""

from playwright.sync_api import expect

# The picture's bytes as one short text. A frame that is replaced while it is read is read again.
PICTURE = """async area => {
    for (;;) try {
        const bytes = await (await fetch(area.querySelector('img.course-live').src)).arrayBuffer();
        const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
        return digest.slice(0, 8).join();
    } catch (replaced) { await new Promise(requestAnimationFrame) }
}"""

# From now on, at each of the screen's frames: is the picture where it was and as large? An empty image has no height.
WATCH = """area => {
    const image = area.querySelector('img.course-live');
    const seen = area.seen = {pictures: 0, flicker: [], messages: []};
    const box = () => {
        const {left, top, width, height} = image.getBoundingClientRect(), {top: from} = area.getBoundingClientRect();
        return [left, top - from, width, height].map(Math.round).join(' ');
    };
    const first = box();
    image.addEventListener('load', () => seen.pictures++);
    const look = () => {
        if (area.querySelector('img.course-live') !== image) seen.flicker.push('another image');
        else if (box() !== first) seen.flicker.push(`moved from ${first} to ${box()}`);
        for (const alert of area.querySelectorAll('[role=alert]'))
            if (alert.textContent.trim()) seen.messages.push(alert.textContent);
        if (area.seen) requestAnimationFrame(look);
    };
    look();
}"""

# What was seen; nobody looks any more.
SEEN = "area => { const seen = area.seen; area.seen = null; return seen; }"


def areas(page):
    """The output areas that hold a live figure."""
    return page.locator(".jp-OutputArea-child").filter(has=page.locator("img.course-live")).all()


def picture(area):
    return area.evaluate(PICTURE)


def wait_for_picture(area, wanted):
    """Wait until `wanted`, a condition on `picture` in JavaScript, holds; the picture then."""
    condition = f"async area => {{ const picture = await ({PICTURE})(area); return {wanted} && picture; }}"
    return area.page.wait_for_function(condition, arg=area.element_handle(), polling=30, timeout=20_000).json_value()


def at_ends(area, slider):
    """The pictures at a slider's two ends, (low, high), gone to with the keys; it is left a step above the low end."""
    at = {end: slider.get_attribute(f"aria-value{end}") for end in ("min", "now", "max")}
    seen = []
    for key in ("Home", "End", "Home") if at["now"] == at["max"] else ("End", "Home"):
        before = picture(area)
        slider.press(key)
        seen.append(wait_for_picture(area, f"picture !== '{before}'"))
    low = slider.get_attribute("aria-valuetext")
    slider.press("ArrowRight")
    expect(slider).not_to_have_attribute("aria-valuetext", low)
    return seen[-1], seen[-2]


def drag(slider, to):
    """Drag a slider's handle from where it is to the track's low (0) or high (1) end, a little at each frame."""
    page, handle = slider.page, slider.bounding_box()
    track = slider.locator("xpath=ancestor::*[contains(@class, 'noUi-base')]").bounding_box()
    x, y = (handle[at] + handle[size] / 2 for at, size in (("x", "width"), ("y", "height")))
    page.mouse.move(x, y)
    page.mouse.down()
    for step in range(1, 9):
        page.mouse.move(x + (track["x"] + to * track["width"] - x) * step / 8, y)
        page.evaluate("new Promise(requestAnimationFrame)")
    page.mouse.up()
