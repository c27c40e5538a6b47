// Text cut into byte pairs and put together again, as paperzoo/data/text/bpe.py does by the library tokenizers: a test holds them beside each other.
const WORDS = /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\p{White_Space}\p{L}\p{N}]+|\p{White_Space}+(?!\P{White_Space})|\p{White_Space}+/gu;
const SPECIAL = 3; // padding, the begin and the end of a sentence

// Each byte as a letter that can be seen: printable ones of Latin-1 stand for themselves, the others for those from 256 on.
const LETTERS = (() => {
  const plain = (b) => (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
  let next = 256;
  return Array.from({ length: 256 }, (_, b) => String.fromCodePoint(plain(b) ? b : next++));
})();
const BYTES = new Map(LETTERS.map((letter, b) => [letter, b]));

export function codec({ vocabulary, merges }) {
  const numbers = new Map(vocabulary.map((piece, i) => [piece, i])), ranks = new Map(merges.map((pair, i) => [pair, i]));
  const cut = (word) => {
    const pieces = Array.from(new TextEncoder().encode(word), (b) => LETTERS[b]);
    for (;;) {
      let best = Infinity, at = -1;
      for (let i = 0; i + 1 < pieces.length; i++) {
        const rank = ranks.get(`${pieces[i]} ${pieces[i + 1]}`);
        if (rank < best) [best, at] = [rank, i];
      }
      if (at < 0) return pieces;
      const [left, right] = pieces.slice(at, at + 2);
      for (let i = at; i + 1 < pieces.length; i++) if (pieces[i] === left && pieces[i + 1] === right) pieces.splice(i, 2, left + right);
    }
  };
  return {
    encode(text) {
      const whole = text.normalize("NFC");
      const words = (whole && !/^\p{White_Space}/u.test(whole) ? ` ${whole}` : whole).match(WORDS) ?? [];
      return words.flatMap(cut).map((piece) => numbers.get(piece));
    },
    decode(row) {
      const letters = row.filter((i) => i >= SPECIAL).map((i) => vocabulary[i]).join("");
      return new TextDecoder().decode(Uint8Array.from(Array.from(letters), (letter) => BYTES.get(letter))).trim();
    },
  };
}
