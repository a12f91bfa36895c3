"""Writes the tables of `scripts/gpu-bench` between the markers of a page: `gpu_report.py PAGE LINES TESTS COMMIT`."""

import json
import platform
import sys
from pathlib import Path

BEGIN, END = "<!-- gpu-bench: begin -->", "<!-- gpu-bench: end -->"


def main():
    page, lines, tests, commit = Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4]
    rows = [json.loads(line) for line in lines.read_text().splitlines()]
    cards = sorted({row["description"] for row in rows if row.get("description")})
    peers = {
        (row["size"], row["dtype"]): row for row in rows if row["device"].startswith("transformers")
    }
    out = [BEGIN, f"Commit {commit}, {platform.node() or 'a machine'}:", ""]
    out += [f"- {card}" for card in cards]
    out += ["", "```text", *tests.read_text().splitlines(), "```", ""]
    out.append("| student | dtype | by | sampled tokens/s | beside transformers | trained tokens/s | beside transformers | most memory, MiB |")
    out.append("|---|---|---|---|---|---|---|---|")
    for row in rows:
        # What `cuda` has for f32 stands beside f32.
        peer = peers.get((row["size"], row["dtype"].replace("tf32", "f32")), {})
        cells = [row["size"], row["dtype"], row["device"]]
        for what in ("sampled_tokens_per_s", "trained_tokens_per_s"):
            mine, theirs = row.get(what), peer.get(what)
            cells.append(f"{mine:,.0f}" if mine else "failed")
            cells.append(f"{mine / theirs:.2f}x" if mine and theirs and row is not peer else "")
        cells.append(f"{row['memory_mib']:,}" if row.get("memory_mib") else "")
        out.append("| " + " | ".join(cells) + " |")
    out.append(END)
    text = page.read_text()
    head, rest = text.split(BEGIN)
    page.write_text(head + "\n".join(out) + rest.split(END)[1])


main()
