package docs

// docs/course.md: a row for each system of the course, and in each row tests that exist.

import (
	"slices"
	"strings"
	"testing"
)

// ofTheCourse are the systems of the course that the project came from.
var ofTheCourse = []string{
	"TrainingConfig", "TrainingConfig.save", "TrainingConfig.load", "to_dict", "from_dict", "get_memory_optimized_config", "get_optimizer_and_scheduler",
	"CheckpointManager.save_checkpoint", "CheckpointManager.load_latest_checkpoint",
	"train_model", "compute_loss", "evaluate_model", "demonstrate_gradient_accumulation", "gradient_checkpointing_enable", "clip_grad_norm_",
	"setup_monitoring", "log_gpu_usage", "log_gradients", "log_weights", "log_loss", "log_learning_rate", "log_perplexity", "log_generation_samples",
	"explain_mixed_precision", "autocast", "GradScaler",
	"CurriculumSampler", "get_curriculum_weights", "sample_batch", "knowledge_distillation_loss", "train_with_distillation",
}

// itsWords are what else the pages quote of the course's code and of the libraries it calls.
var itsWords = []string{"param.grad", "save_pretrained", "from_pretrained", "model_step_10_old"}

// exercises is how many the course ends with, each a row that begins with its number.
const exercises = 5

func TestEverySystemOfTheCourseHasARow(t *testing.T) {
	for _, file := range []string{"course.md", "course.pt-BR.md"} {
		var named []string
		numbered := 0
		for i, line := range readPage(t, file).prose {
			if !strings.HasPrefix(line, "| ") || !strings.Contains(line, "`") {
				continue
			}
			system, here, _ := strings.Cut(strings.Trim(line, "| "), "<br>→ ")
			where, better, _ := strings.Cut(here, " | ")
			why, tests, _ := strings.Cut(better, "<br>→ ")
			if where == "" || why == "" || !strings.HasPrefix(tests, "`Test") {
				t.Errorf("%s:%d: want system<br>→ where it is | what is better<br>→ tests", file, i+1)
				continue
			}
			for _, match := range codePattern.FindAllStringSubmatch(system, -1) {
				named = append(named, match[1])
			}
			if system[0] >= '1' && system[0] <= '9' {
				numbered++
			}
		}
		slices.Sort(named)
		want := slices.Sorted(slices.Values(ofTheCourse))
		if !slices.Equal(named, want) {
			t.Errorf("%s has rows for\n%q, want\n%q", file, named, want)
		}
		if numbered != exercises {
			t.Errorf("%s has %d exercises, want %d", file, numbered, exercises)
		}
	}
}
