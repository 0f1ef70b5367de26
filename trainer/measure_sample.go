package trainer

// What of a stage's texts is measured: passages spread evenly over it, and the dictionaries that compression begins with.

import (
	"slices"
	"unicode/utf8"

	"frugal/trainer/curriculum"
	"frugal/trainer/data"
)

// sample is some passages of a stage.
type sample struct {
	from     *data.Passages
	passages []int
}

// newSample takes passages that hold some size bytes together, at even distances.
func newSample(p *data.Passages, size int64) sample {
	s := sample{from: p}
	tokens := int64(0)
	for i := range p.Len() {
		tokens += min(p.Tokens(i), passageBytes)
	}
	const bytesPerToken = 2 // to be on the side of more passages
	s.passages = spread(int(max(leastPassages, size*int64(p.Len())/max(1, bytesPerToken*tokens))), p.Len())
	return s
}

// spread is n of the numbers below all, at even distances, even and odd ones in turn; all of them where they are not twice as many.
func spread(n, all int) (numbers []int) {
	if all < 2*n {
		n = all
	}
	for i := range n {
		number := i * all / n
		if number%2 != i%2 {
			number++
		}
		numbers = append(numbers, number)
	}
	return numbers
}

// text is the beginning of a passage: at most so many bytes, cut between characters.
func (s sample) text(passage, limit int) ([]byte, error) {
	text, err := s.from.Text(passage, limit) // a token has a byte at least, or hardly ever none
	if len(text) <= limit {
		return text, err
	}
	for limit > 0 && !utf8.RuneStart(text[limit]) {
		limit--
	}
	return text[:limit], err
}

// dictionaryOf joins beginnings of passages whose numbers are even, or odd, so that no passage is compressed with itself before
// it: as much of each sample, taken in turns, so that neither a large stage nor the last is nearest to the dictionary.
func dictionaryOf(samples []sample, parity int) (dictionary []byte, err error) {
	share := curriculum.DictionarySize / len(samples)
	snippets := make([][][]byte, len(samples))
	most := 0
	for i, s := range samples {
		passages := slices.DeleteFunc(slices.Clone(s.passages), func(n int) bool { return n%2 != parity })
		for _, n := range evenly(passages, share/leastSnippet) {
			text, err := s.text(n, max(leastSnippet, share/min(len(passages), share/leastSnippet)))
			if err != nil {
				return nil, err
			}
			snippets[i] = append(snippets[i], text)
		}
		most = max(most, len(snippets[i]))
	}
	for turn := range most {
		for _, list := range snippets {
			if turn < len(list) {
				dictionary = append(dictionary, list[turn]...)
			}
		}
	}
	return dictionary, nil
}

// leastSnippet is what a dictionary takes of a passage, in bytes, where there are many: fewer have no sentence in them.
const leastSnippet = 256

// evenly keeps at most n of a list, at even distances.
func evenly(list []int, n int) []int {
	if len(list) <= n {
		return list
	}
	kept := make([]int, n)
	for i := range kept {
		kept[i] = list[i*len(list)/n]
	}
	return kept
}
