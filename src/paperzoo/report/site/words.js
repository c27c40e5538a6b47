// The words of a text, as paperzoo/data/captions/words.py has them, which a test holds beside these.
const CLITIC = /^(.+?)(n't|'(?:s|re|ve|ll|d|m))$/u;

export function tokenise(text) {
  const kept = Array.from(text.normalize("NFC").toLowerCase(), (c) => ("'’".includes(c) ? "'" : c === "-" || /[\p{L}\p{M}\p{N}]/u.test(c) ? c : " ")).join("");
  return kept.split(/\s+/).flatMap((word) => {
    const bare = word.replace(/^[-']+|[-']+$/g, "");
    const parts = bare.includes("'") ? bare.match(CLITIC) : null;
    return parts ? [parts[1], parts[2]] : bare ? [bare] : [];
  });
}
