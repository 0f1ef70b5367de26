// Translations are rarely whole: this finds the paragraphs that are still in English.

package main

import (
	"strings"
	"unicode"
)

// Words that carry a sentence in one language and do not exist, or hardly, in the other ("a", "as", "do", "no" do).
var (
	englishWords    = setOf("the of and to is in that for with are this you it be on by or from which can not have an your if will has")
	portugueseWords = setOf("o os e é de da das dos em um uma para por que com não se ou na nas nos ao aos à às mais como seu sua são")
)

// withoutEnglish gives the blocks in which no more than half of such words are English.
func withoutEnglish(blocks []string) []string {
	var kept []string
	for _, b := range blocks {
		english, portuguese := 0, 0
		for _, w := range strings.FieldsFunc(strings.ToLower(b), func(r rune) bool { return !unicode.IsLetter(r) }) {
			if englishWords[w] {
				english++
			}
			if portugueseWords[w] {
				portuguese++
			}
		}
		if english <= portuguese {
			kept = append(kept, b)
		}
	}
	return kept
}
