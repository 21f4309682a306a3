"""The release pipelines: one for each service, which builds and deploys that service alone, and one
for what the services share.

`cdk deploy --app "python -m infra.pipelines" -c repository=OWNER/NAME -c connection=ARN --all`
"""

import aws_cdk as cdk
from aws_cdk import aws_codebuild as codebuild
from aws_cdk import aws_codepipeline as codepipeline
from aws_cdk import aws_codepipeline_actions as actions
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3

from infra.releases import RELEASES, Release

BRANCH = "main"
ENVIRONMENT = ('export PATH="$PWD/.venv/bin:$PATH"', "export PYTHONPATH=.:libs/common")
BOOTSTRAP_ROLES = ("deploy", "file-publishing", "lookup")
"""Those that `cdk bootstrap` made: who may assume them may deploy, and needs nothing else."""


class PipelineStack(cdk.Stack):
    def __init__(self, app: cdk.App, release: Release, repository: str, connection: str) -> None:
        super().__init__(app, f"agentic-pipeline-{release.name}")
        cdk.Tags.of(self).add("owner", release.name)
        self.release = release
        self.log_group = logs.LogGroup(self, "Log", retention=logs.RetentionDays.THREE_MONTHS)
        self.source = codepipeline.Artifact("Source")
        source = self._source(repository, connection)
        pipeline = codepipeline.Pipeline(
            self,
            "Pipeline",
            pipeline_name=f"agentic-{release.name}",
            pipeline_type=codepipeline.PipelineType.V2,
            execution_mode=codepipeline.ExecutionMode.QUEUED,
            artifact_bucket=self._artifacts(),
            stages=[
                stage("Source", source),
                stage("Test", self._action("Test", self._tests())),
                stage("Contracts", self._action("Contracts", self._contracts())),
                stage("Staging", self._action("Staging", self._deployment("staging"))),
                stage("Smoke", self._action("Smoke", self._smoke("staging"))),
                stage("Approval", actions.ManualApprovalAction(action_name="Approve")),
                stage("Production", self._action("Production", self._deployment("production"))),
                stage("ProductionSmoke", self._action("Answers", self._smoke("production"))),
            ],
        )
        pipeline.add_trigger(
            provider_type=codepipeline.ProviderType.CODE_STAR_SOURCE_CONNECTION,
            git_configuration=codepipeline.GitConfiguration(
                source_action=source, push_filter=[self._filter()]
            ),
        )

    def _filter(self) -> codepipeline.GitPushFilter:
        return codepipeline.GitPushFilter(
            branches_includes=[BRANCH],
            file_paths_includes=list(self.release.paths),
            file_paths_excludes=list(self.release.ignored) or None,
        )

    def _artifacts(self) -> s3.Bucket:
        return s3.Bucket(
            self,
            "Artifacts",
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            encryption=s3.BucketEncryption.S3_MANAGED,
            enforce_ssl=True,
            lifecycle_rules=[s3.LifecycleRule(expiration=cdk.Duration.days(30))],
        )

    def _source(self, repository: str, connection: str) -> actions.CodeStarConnectionsSourceAction:
        """A whole clone: contracts are compared with what was released."""
        owner, _, name = repository.partition("/")
        return actions.CodeStarConnectionsSourceAction(
            action_name="Source",
            owner=owner,
            repo=name,
            branch=BRANCH,
            connection_arn=connection,
            output=self.source,
            code_build_clone_output=True,
            trigger_on_push=False,
        )

    def _action(self, name: str, project: codebuild.PipelineProject) -> actions.CodeBuildAction:
        return actions.CodeBuildAction(action_name=name, project=project, input=self.source)

    def _tests(self) -> codebuild.PipelineProject:
        wanted = " ".join(self.release.tests)
        return self._project("Tests", ["make check", f"python -m pytest {wanted}"])

    def _contracts(self) -> codebuild.PipelineProject:
        """Against what production has: a changed schema file can't hide a breaking change."""
        check = "python -m docs.contracts check $RELEASE"
        project = self._project("Contracts", ["python -m docs.generate --check", check])
        self._allow(project, "ssm:GetParameter", self._parameter(self.release.released))
        return project

    def _deployment(self, stage: str) -> codebuild.PipelineProject:
        commands = [self.release.deploy]
        if stage == "production":
            commands.append("python -m docs.contracts record $RELEASE")
        project = self._project(f"Deploy{stage.title()}", commands, stage)
        for role in BOOTSTRAP_ROLES:
            name = f"cdk-{cdk.DefaultStackSynthesizer.DEFAULT_QUALIFIER}-{role}-role"
            arn = f"arn:{self.partition}:iam::{self.account}:role/{name}"
            self._allow(project, "sts:AssumeRole", f"{arn}-{self.account}-{self.region}")
        if stage == "production":
            self._allow(project, "ssm:PutParameter", self._parameter(self.release.released))
        return project

    def _smoke(self, stage: str) -> codebuild.PipelineProject:
        commands = [f"python -m infra.smoke --stage {stage}"]
        project = self._project(f"Smoke{stage.title()}", commands, stage)
        door = self._parameter(f"/agentic/{stage}/front-door/base-url")
        self._allow(project, "ssm:GetParameter", door)
        key = self.format_arn(
            service="secretsmanager",
            resource="secret",
            resource_name=f"agentic-{stage}-smoke-key-*",
            arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME,
        )
        self._allow(project, "secretsmanager:GetSecretValue", key)
        return project

    def _allow(self, project: codebuild.PipelineProject, action: str, resource: str) -> None:
        project.add_to_role_policy(iam.PolicyStatement(actions=[action], resources=[resource]))

    def _parameter(self, name: str) -> str:
        return self.format_arn(service="ssm", resource="parameter", resource_name=name.lstrip("/"))

    def _project(
        self, name: str, commands: list[str], stage: str = "production"
    ) -> codebuild.PipelineProject:
        variables = {"STAGE": stage, "RELEASE": self.release.name}
        return codebuild.PipelineProject(
            self,
            name,
            description=f"{name} of {self.release.name}",
            build_spec=codebuild.BuildSpec.from_object(
                {
                    "version": "0.2",
                    "phases": {
                        "install": {
                            "runtime-versions": {"python": "3.11"},
                            "commands": ["make setup"],
                        },
                        "build": {"commands": [*ENVIRONMENT, *commands]},
                    },
                }
            ),
            environment=codebuild.BuildEnvironment(
                build_image=codebuild.LinuxBuildImage.STANDARD_7_0,
                compute_type=codebuild.ComputeType.MEDIUM,
            ),
            environment_variables={
                key: codebuild.BuildEnvironmentVariable(value=value)
                for key, value in variables.items()
            },
            logging=codebuild.LoggingOptions(
                cloud_watch=codebuild.CloudWatchLoggingOptions(log_group=self.log_group)
            ),
            timeout=cdk.Duration.minutes(60),
            grant_report_group_permissions=False,
        )


def stage(name: str, action: codepipeline.IAction) -> codepipeline.StageProps:
    return codepipeline.StageProps(stage_name=name, actions=[action])


def build(app: cdk.App, repository: str, connection: str) -> list[PipelineStack]:
    return [PipelineStack(app, release, repository, connection) for release in RELEASES]


def main() -> None:
    app = cdk.App()
    build(app, app.node.get_context("repository"), app.node.get_context("connection"))
    app.synth()


if __name__ == "__main__":
    main()
