# SPDX-License-Identifier: MIT
"""Bars and lines as SVG, by gnuplot. A figure is a row of panels, each with axes of its own, since
workloads differ by orders of magnitude; the key below is common to all."""
import shutil
import subprocess

# Told apart by people who see colours differently, too (Okabe and Ito's palette).
COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442", "#999999",
           "#000000", "#8c510a")
POINTS = (7, 5, 9, 13, 11, 15)


def available():
    """Is there a gnuplot?"""
    return shutil.which("gnuplot") is not None


def quoted(text):
    """A string for gnuplot, taken literally."""
    return "'" + str(text).replace("'", "''") + "'"


def block(name, rows):
    """A data block."""
    lines = "\n".join(" ".join(f'"{cell}"' if isinstance(cell, str) else f"{cell:.9g}"
                               for cell in row) for row in rows)
    return f"${name} << END\n{lines}\nEND\n"


def head(path, title, panels, height=380):
    """The beginning of a script. Margins are fractions of the whole."""
    width = max(560, 120 + 230 * panels)
    left, right, gap = 75 / width, 1 - 60 / width, 85 / width
    return (f"set encoding utf8\nset terminal svg size {width},{height} font 'sans,11' background "
            f"'white'\nset output {quoted(path)}\nset style fill solid 0.9 border lt -1\n"
            f"set grid ytics lc rgb '#dddddd'\nset border 3\nset tics nomirror\n"
            f"set xtics rotate by -30\n"
            f"set multiplot layout 1,{panels} title {quoted(title)} font ',13' "
            f"margins {left:.3f},{right:.3f},0.3,0.82 spacing {gap:.3f},0.1\n")


KEY = "set key at screen 0.5,0.02 center bottom vertical maxrows 2 samplen 1.5\n"


def draw(script):
    """Runs it."""
    subprocess.run(["gnuplot"], input=script + "unset multiplot\n", text=True, check=True)


def bars(path, title, panels):
    """PANELS: [{title, unit, rows: [(label, value, low, high)]}]: a bar each, with its range."""
    script = head(path, title, len(panels)) + "unset key\nset boxwidth 0.6\n"
    for number, panel in enumerate(panels):
        rows = panel["rows"]
        script += block(f"p{number}", rows)
        script += f"set title {quoted(panel['title'])}\nset ylabel {quoted(panel['unit'])}\n"
        script += f"set xrange [-0.6:{len(rows) - 0.4}]\nset yrange [0:*]\n"
        pieces = [f"$p{number} every ::{index}::{index} using ({index}):2:xtic(1) with boxes lc "
                  f"rgb '{COLOURS[index % len(COLOURS)]}'" for index in range(len(rows))]
        if any(low != high for _, _, low, high in rows):
            pieces.append(f"$p{number} using 0:2:3:4 with yerrorbars lc rgb 'black' ps 0 lw 1.5")
        script += "plot " + ", ".join(pieces) + "\n"
    draw(script)


def stacks(path, title, panels, series):
    """PANELS: [{title, unit, rows: [(label, [value of each series])]}]: a stack a row."""
    script = head(path, title, len(panels), 420)
    script += "set style data histograms\nset style histogram rowstacked\nset boxwidth 0.6\n"
    for number, panel in enumerate(panels):
        script += block(f"p{number}", [(label, *values) for label, values in panel["rows"]])
        script += f"set title {quoted(panel['title'])}\nset ylabel {quoted(panel['unit'])}\n"
        script += f"set xrange [-0.6:{len(panel['rows']) - 0.4}]\nset yrange [0:*]\n"
        script += KEY if number == 0 else "unset key\n"
        script += "plot " + ", ".join(
            f"$p{number} using {index + 2}:xtic(1) lc rgb '{COLOURS[index % len(COLOURS)]}' "
            f"title {quoted(name)}" for index, name in enumerate(series)) + "\n"
    draw(script)


def scatter(path, title, panels):
    """PANELS: [{title, x, y, rows: [(name, points, line)]}]: points (x, y), their line, and y = x
    for comparison."""
    script = head(path, title, len(panels), 440) + "set xtics rotate by 0 autofreq\n"
    for number, panel in enumerate(panels):
        script += f"set title {quoted(panel['title'])}\n"
        script += f"set xlabel {quoted(panel['x'])}\nset ylabel {quoted(panel['y'])}\n"
        script += "set xrange [0:*]\nset yrange [0:*]\n"
        pieces = ["x with lines dt 2 lc rgb '#999999' title 'right: measured = predicted'"]
        for index, (name, points, line) in enumerate(panel["rows"]):
            script += block(f"p{number}_{index}", points)
            colour = COLOURS[index % len(COLOURS)]
            pieces.append(f"$p{number}_{index} using 1:2 with points pt {POINTS[index]} lc rgb "
                          f"'{colour}' title {quoted(name)}")
            if line:
                pieces.append(f"{line['slope']:.9g} * x + {line['intercept']:.9g} with lines lc "
                              f"rgb '{colour}' notitle")
        script += KEY if number == 0 else "unset key\n"
        script += "plot " + ", ".join(pieces) + "\n"
    draw(script)
