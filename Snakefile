"""Entry at the root of the repository: the same jobs as workflow/Snakefile."""


include: "workflow/Snakefile"


workflow.default_target = "all"
