"""Names for the sliders and choices of live figures, for people who do not see the label beside them.

ipywidgets gives a slider's handle and a group of radio buttons no name, and a choice's handle its index for a value.
What assistive technology reads can only be set in the browser: here by a picture of one pixel, when it has loaded and
whenever a control changes. That works in JupyterLab, Colab and Voila alike, without an extension to install.
"""

NAMES = """<img hidden alt="" src="data:image/gif;base64,R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw=="
onload="(function start(pixel) {
    const figure = pixel.closest('.course-figure');
    if (!figure) return requestAnimationFrame(() => start(pixel));
    const set = (part, name, text) => { if (part.getAttribute(name) !== text) part.setAttribute(name, text) };
    const name = () => {
        for (const slider of figure.querySelectorAll('.widget-slider')) {
            const [label, handle, readout] = ['.widget-label', '[role=slider], .ui-slider-handle', '.widget-readout']
                .map(part => slider.querySelector(part));
            if (!label || !handle || !readout) continue;
            set(handle, 'role', 'slider');  // ipywidgets 7 does not say so
            set(handle, 'aria-label', label.textContent);
            set(handle, 'aria-valuetext', readout.textContent);
            if (readout.isContentEditable) {
                set(readout, 'role', 'textbox');
                set(readout, 'aria-label', label.textContent + ', as a number');
            }
        }
        for (const group of figure.querySelectorAll('.widget-radio-box')) {
            const question = figure.querySelector('.course-question');
            set(group, 'role', 'radiogroup');
            if (question) set(group, 'aria-label', question.textContent);
            // The arrow keys go through buttons of one name, and JupyterLab would take them to change the cell.
            group.dataset.name ??= 'choice' + Math.random();
            for (const radio of group.querySelectorAll('input')) {
                set(radio, 'name', group.dataset.name);
                set(radio, 'data-lm-suppress-shortcuts', 'true');
            }
        }
    };
    name();
    new MutationObserver(name).observe(figure, {childList: true, subtree: true, characterData: true});
})(this)">"""
