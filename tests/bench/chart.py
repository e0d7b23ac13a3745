"""SVG by hand: charts with a background of their own, so that they read on any page."""

import html
import math

INK, FAINT, PAPER = "#1f2933", "#c5ced8", "#ffffff"
OURS, OTHERS = "#1769aa", "#9aa5b1"
FONT = "font-family='system-ui, sans-serif'"


def _text(x, y, words, *, size=13, anchor="start", weight="normal", fill=INK):
    return (f"<text x='{x:.1f}' y='{y:.1f}' font-size='{size}' text-anchor='{anchor}' "
            f"font-weight='{weight}' fill='{fill}'>{html.escape(words)}</text>")


def _document(width, height, title, parts):
    return "\n".join([
        f"<svg xmlns='http://www.w3.org/2000/svg' width='{width}' height='{height}' "
        f"viewBox='0 0 {width} {height}' {FONT} role='img'>",
        f"<title>{html.escape(title)}</title>",
        f"<rect width='{width}' height='{height}' rx='6' fill='{PAPER}' stroke='{FAINT}'/>",
        _text(20, 30, title, size=16, weight="bold"), *parts, "</svg>", ""])


def bars(title, note, panels):
    """
    Horizontal bars. panels: [(heading, [(label, median, least, most, ours)])]; a thin line shows
    from the least to the most. Each panel has its own scale: what is compared stands in it.
    """
    left, right, row = 330, 110, 24
    width = 860
    parts, y = [_text(20, 50, note, size=12, fill="#52606d")], 66
    for heading, rows in panels:
        y += 24
        parts.append(_text(20, y, heading, size=14, weight="bold"))
        y += 10
        scale = (width - left - right) / max(most for _, _, _, most, _ in rows)
        for label, median, least, most, ours in rows:
            middle = y + row / 2
            parts += [
                _text(left - 10, middle + 4, label, anchor="end"),
                f"<rect x='{left}' y='{y + 3}' width='{median * scale:.1f}' height='{row - 6}' "
                f"fill='{OURS if ours else OTHERS}'/>",
                f"<line x1='{left + least * scale:.1f}' x2='{left + most * scale:.1f}' "
                f"y1='{middle}' y2='{middle}' stroke='{INK}' stroke-width='2'/>",
                _text(left + most * scale + 8, middle + 4, f"{median:,.0f}")]
            y += row
    return _document(width, y + 20, title, parts)


def line(title, note, points, across, up):
    """One line through points [(x, y)], from 0 upward. across, up: what the axes are."""
    width, height, left, top, right, bottom = 860, 390, 80, 90, 30, 50
    most_x = max(x for x, _ in points)
    step = _step(max(y for _, y in points))
    most_y = math.ceil(max(y for _, y in points) / step) * step

    def place(x, y):
        return (left + (width - left - right) * x / most_x,
                height - bottom - (height - top - bottom) * y / most_y)

    parts = [_text(20, 50, note, size=12, fill="#52606d"), _text(20, top - 18, up, size=12)]
    for number in range(int(most_y / step) + 1):
        _, y = place(0, number * step)
        parts += [f"<line x1='{left}' x2='{width - right}' y1='{y:.1f}' y2='{y:.1f}' stroke='{FAINT}'/>",
                  _text(left - 8, y + 4, f"{number * step:,.0f}", size=12, anchor="end")]
    for x, _ in points:
        parts.append(_text(place(x, 0)[0], height - bottom + 18, f"{x:g}", size=12, anchor="middle"))
    parts.append(_text((left + width - right) / 2, height - 12, across, size=12, anchor="middle"))
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(*point) for point in points))
    parts.append(f"<polyline points='{path}' fill='none' stroke='{OURS}' stroke-width='2.5'/>")
    parts += [f"<circle cx='{x:.1f}' cy='{y:.1f}' r='3.5' fill='{OURS}'/>"
              for x, y in (place(*point) for point in points)]
    return _document(width, height, title, parts)


def _step(most):
    """A round distance between the lines of a scale: four to eight of them."""
    step = 10 ** math.floor(math.log10(most))
    return next(step / part for part in (1, 2, 4, 10) if most / (step / part) >= 3.5)
