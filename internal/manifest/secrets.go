package manifest

import (
	"github.com/BurntSushi/toml"

	"github.com/octohost/octohost/internal/octo"
)

// maxSecrets is how many build secrets there may be.
const maxSecrets = 50

// checkSecrets says what is wrong with the names of build secrets, or nil.
func (b Build) checkSecrets() *problem {
	key := toml.Key{"build", "secrets"}
	if len(b.Secrets) > maxSecrets {
		return &problem{key, "there are more than 50 build secrets", "put what belongs together into one"}
	}
	for _, name := range b.Secrets {
		if err := octo.CheckConfigName(name); err != nil {
			return &problem{key, "a build secret is named like a variable of the app's configuration, and that cannot be one", `for example: secrets = ["NPM_TOKEN"]`}
		}
	}
	return nil
}
