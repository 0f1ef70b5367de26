package curriculum

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

func TestSentenceLengthCountsWordsAndSentences(t *testing.T) {
	for text, want := range map[string]Score{
		"":                                       {0, 0},
		" \n\n … !\n":                            {0, 0},
		"O rio corre.":                           {3, 1},
		"O rio corre. O mar não!":                {6, 2},
		"Uma linha\nque continua na outra. Fim.": {7, 2},
		"UM TÍTULO\n\nO texto vem depois.":       {6, 2},
		"Custa 3.14 reais, ou 1.000,50, e pronto.":            {7, 1},
		"O Sr. Silva e a Dra. Lima saíram. Chovia.":           {9, 2},
		"J. R. R. Tolkien wrote it. Mr. Smith read it.":       {10, 2},
		"«Vamos?» perguntou ela. — Não… talvez.":              {5, 2},
		"D'água e guarda-chuva, don't.":                       {5, 1},
		"吾輩は猫である。名前はまだ無い。":                                    {14, 2},
		"Nasceu em 1850 a.C. Morreu velho. Foi em agosto de.": {10, 2},
		"Ele mora na Av. Brasil, n. 5. A casa é azul.":        {11, 2},
	} {
		if got := SentenceLength([]byte(text)); got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}

func TestScoresOfTextsAreSummed(t *testing.T) {
	a, b := SentenceLength([]byte("Um dois. Três.")), SentenceLength([]byte("Quatro cinco seis sete oito nove."))
	if got := a.Add(b).Value(); got != 3 || (Score{}).Value() != 0 {
		t.Errorf("%v words a sentence", got)
	}
}

// words makes a text of n words out of a vocabulary of a size.
func words(seed uint64, vocabulary, n int) []byte {
	random := rand.New(rand.NewPCG(seed, 1))
	var b bytes.Buffer
	for range n {
		fmt.Fprintf(&b, "%x ", uint32(random.IntN(vocabulary))*2654435761)
	}
	return b.Bytes()
}

func TestCompressionTellsPoorTextFromRich(t *testing.T) {
	var dictionary []byte
	for i := range 40 {
		dictionary = append(dictionary, words(uint64(i), []int{30, 3000}[i%2], 80)...)
	}
	c := NewCompressor(dictionary)
	poor, rich := c.Score(words(100, 30, 1000)), c.Score(words(100, 3000, 1000))
	if poor.Amount != PassageBytes || rich.Amount != PassageBytes || !(poor.Value() < 0.6*rich.Value()) {
		t.Errorf("%v and %v", poor, rich)
	}
	if again := c.Score(words(100, 30, 1000)); again != poor {
		t.Errorf("a second time it is %v, not %v", again, poor)
	}
	if random := c.Score(randomBytes(PassageBytes)); math.Abs(random.Value()-8.5) > 0.7 {
		t.Errorf("random bytes have %.2f bits a byte", random.Value())
	}
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	random := rand.New(rand.NewPCG(7, 7))
	for i := range b {
		b[i] = byte(random.Uint32())
	}
	return b
}

// A text is as difficult in short pieces as in long ones, but for what a long piece says again.
func TestCompressionComparesShortTextsWithLongOnes(t *testing.T) {
	c := NewCompressor(words(1, 3000, 4000))
	text := words(2, 3000, 450)[:PassageBytes]
	whole := c.Score(text)
	for _, size := range []int{2048, 512, 128} {
		var pieces Score
		for from := 0; from < len(text); from += size {
			pieces = pieces.Add(c.Score(text[from : from+size]))
		}
		if pieces.Amount != whole.Amount || math.Abs(pieces.Value()/whole.Value()-1) > 0.1 {
			t.Errorf("in pieces of %d bytes %.3f, whole %.3f", size, pieces.Value(), whole.Value())
		}
	}
	if s := NewCompressor(nil).Score([]byte(strings.Repeat("a", 500))); s.Amount != 500 || s.Value() > 0.5 {
		t.Errorf("without a dictionary %v", s)
	}
}

func BenchmarkCompressor(b *testing.B) {
	c := NewCompressor(words(1, 3000, 4000))
	text := words(2, 3000, 600)[:PassageBytes]
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		c.Score(text)
	}
}

func BenchmarkSentenceLength(b *testing.B) {
	text := bytes.Repeat([]byte("O vento levou a folha, e a menina riu-se. Depois, ninguém mais falou nisso.\n"), 60)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		SentenceLength(text)
	}
}
