#!/usr/bin/env python3
"""Records commands on a terminal of 80 columns as an SVG that plays in a page.

    docs/recording/record.py OUTPUT.svg COMMAND...

Each command runs in a pseudo-terminal. What it printed is shown as it came, line by line, with its
colours; a line that was written over (progress) is shown as it ended. Pauses are cut short. Who
asked for less motion sees the end of it, still.
"""
import html
import os
import pathlib
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
import fcntl

COLUMNS, ROWS = 80, 26
LINE_PX, LETTER_PX, PADDING_PX = 18, 8.43, 12
LONGEST_PAUSE_S = 0.9
TYPING_S = 0.035  # a letter
REST_S = 6  # at the end, before it begins again
COLOURS = {31: "#ff8a80", 32: "#7ddc9a", 33: "#ffd479", 34: "#82b6ff", 35: "#e0a3ff",
           36: "#7fdbe0", 90: "#9aa4af"}
SEQUENCE = re.compile(r"\x1b\[([0-9;?]*)([A-Za-z])|\x1b\][^\x07]*\x07")


def run(command):
    """What the command printed, as pairs of seconds from its start and text."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": str(COLUMNS)}
    start = time.monotonic()
    process = subprocess.Popen(command, shell=True, stdin=theirs, stdout=theirs, stderr=theirs,
                               env=environment, close_fds=True)
    os.close(theirs)
    pieces = []
    while True:
        ready, _, _ = select.select([ours], [], [], 0.1)
        if not ready and process.poll() is not None:
            break
        if not ready:
            continue
        try:
            data = os.read(ours, 65536)
        except OSError:
            break
        if not data:
            break
        pieces.append((time.monotonic() - start, data.decode(errors="replace")))
    process.wait()
    os.close(ours)
    return pieces


def lines_of(pieces):
    """Pairs of seconds and a line: a list of letters, each with its colour and weight."""
    lines, line, at, style = [], [], 0, (None, False)
    for seconds, text in pieces:
        position = 0
        while position < len(text):
            found = SEQUENCE.match(text, position)
            if found:
                position = found.end()
                if found[2] == "m":
                    style = styled(style, found[1])
                elif found[2] == "K" and found[1] in ("", "0"):
                    del line[at:]
                elif found[2] == "K":
                    line, at = [], 0
                elif found[2] == "G":
                    at = int(found[1] or 1) - 1
                continue
            letter = text[position]
            position += 1
            if letter == "\n":
                lines.append((seconds, line))
                line, at = [], 0
            elif letter == "\r":
                at = 0
            elif letter >= " ":
                line[at:at + 1] = [(letter, style)]
                at += 1
    if line:
        lines.append((pieces[-1][0], line))
    return lines


def styled(style, codes):
    colour, bold = style
    for code in [int(part or 0) for part in codes.split(";")]:
        if code == 0:
            colour, bold = None, False
        elif code == 1:
            bold = True
        elif code == 22:
            bold = False
        elif code == 39:
            colour = None
        elif code in COLOURS or code - 60 in COLOURS:
            colour = COLOURS.get(code) or COLOURS[code - 60]
    return colour, bold


def wrapped(line):
    return [line[i:i + COLUMNS] for i in range(0, len(line), COLUMNS)] or [[]]


def text_of(line, row):
    spans = []
    for letter, style in line:
        if spans and spans[-1][1] == style:
            spans[-1][0].append(letter)
        else:
            spans.append(([letter], style))
    body = ""
    for letters, (colour, bold) in spans:
        words = html.escape("".join(letters), quote=False)
        marks = (f' fill="{colour}"' if colour else "") + (' font-weight="700"' if bold else "")
        body += f"<tspan{marks}>{words}</tspan>" if marks else words
    return f'<text x="{PADDING_PX}" y="{row * LINE_PX + LINE_PX - 4}">{body}</text>'


def moments_of(commands):
    """Pairs of seconds and a row: pauses are cut short, commands are typed."""
    clock, rows = 0.5, []
    for command in commands:
        clock += TYPING_S * len(command)
        prompt = [(letter, (None, True)) for letter in "$ " + command]
        rows += [(clock, part) for part in wrapped(prompt)]
        last, clock = 0, clock + 0.4
        for seconds, line in lines_of(run(command)):
            clock += min(seconds - last, LONGEST_PAUSE_S) + 0.03
            last = seconds
            rows += [(clock, part) for part in wrapped(line)]
        clock += 1.2
    return clock, rows


def svg_of(commands):
    clock, rows = moments_of(commands)
    total = clock + REST_S
    width, height = COLUMNS * LETTER_PX + 2 * PADDING_PX, ROWS * LINE_PX + 2 * PADDING_PX
    frames, shown, scrolled = [], [], {0: 0}
    for row, (seconds, line) in enumerate(rows):
        share = 100 * seconds / total
        shown.append(f'<g class="l" style="animation-name:a{row}">{text_of(line, row)}</g>')
        frames.append(f"@keyframes a{row}{{0%,{share:.2f}%{{opacity:0}}{share + .01:.2f}%,100%"
                      "{opacity:1}}")
        if row >= ROWS:
            scrolled[share] = row - ROWS + 1
    steps = "".join(f"{share:.2f}%{{transform:translateY({-LINE_PX * lines}px)}}"
                    for share, lines in scrolled.items())
    end = -LINE_PX * max(0, len(rows) - ROWS)
    title = html.escape("A recording of a terminal: " + "; ".join(commands))
    return f"""<svg xmlns="http://www.w3.org/2000/svg" role="img" xml:space="preserve"
 viewBox="0 0 {width:.0f} {height}">
<title>{title}</title>
<style>
text {{ font: 14px ui-monospace, "DejaVu Sans Mono", monospace; fill: #e4e7eb; white-space: pre; }}
.l {{ animation-duration: {total:.1f}s; animation-iteration-count: infinite; }}
.s {{ animation: scroll {total:.1f}s step-end infinite; }}
{"".join(frames)}
@keyframes scroll{{{steps}100%{{transform:translateY({end}px)}}}}
@media (prefers-reduced-motion: reduce) {{ .l, .s {{ animation: none; }}
  .s {{ transform: translateY({end}px); }} }}
</style>
<rect width="100%" height="100%" rx="8" fill="#14181d"/>
<svg y="{PADDING_PX}" width="{width:.0f}" height="{ROWS * LINE_PX}"><g class="s">
{chr(10).join(shown)}
</g></svg>
</svg>
"""


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    pathlib.Path(sys.argv[1]).write_text(svg_of(sys.argv[2:]))


if __name__ == "__main__":
    main()
