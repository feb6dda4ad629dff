/* The library that runs is the one the header is of, and structs may be longer than it knows. */
#include "t.h"

int main(void) {
  CHECK(regauth_abi() == REGAUTH_ABI);
  CHECK(strcmp(regauth_version(), VERSION) == 0);
  CHECK(strcmp(regauth_status_name(REGAUTH_OK), "ok") == 0);
  CHECK(strcmp(regauth_status_name(REGAUTH_NONE), "none") == 0);
  CHECK(strcmp(regauth_status_name(99), "unknown") == 0);
  CHECK(strcmp(regauth_hop_name(REGAUTH_HOP_TOKEN_REDIRECT), "token-redirect") == 0);
  CHECK(strcmp(regauth_hop_name(0), "unknown") == 0);
  CHECK(strcmp(regauth_fault_name(REGAUTH_FAULT_TOKEN_SERVICE), "token-service") == 0);

  /* A program of a later header with an older library. */
  struct {
    regauth_step step;
    uint64_t added;
  } newer;
  regauth_agent *agent = t_agent();
  regauth_flow *flow = t_flow(agent, T_MANIFEST);
  memset(&newer, 0xff, sizeof newer);
  newer.step.struct_size = sizeof newer;
  OK(regauth_flow_poll(flow, T_NOW, &newer.step));
  CHECK(newer.step.kind == REGAUTH_STEP_SEND && newer.step.struct_size == sizeof newer && newer.added == 0);

  struct {
    regauth_answer answer;
    uint64_t added;
  } given;
  memset(&given, 0, sizeof given);
  given.answer.struct_size = sizeof given;
  given.answer.status = 200;
  given.added = 1;
  IS(regauth_flow_answer(flow, T_NOW, &given.answer), REGAUTH_INPUT);
  CHECK(t_poll(flow, T_NOW).kind == REGAUTH_STEP_SEND);
  given.added = 0;
  OK(regauth_flow_answer(flow, T_NOW, &given.answer));
  CHECK(t_poll(flow, T_NOW).kind == REGAUTH_STEP_DONE);

  regauth_step step = {.struct_size = sizeof step - 1};
  IS(regauth_flow_poll(flow, T_NOW, &step), REGAUTH_INPUT);
  step.struct_size = 0;
  IS(regauth_flow_poll(flow, T_NOW, &step), REGAUTH_INPUT);
  regauth_flow_free(flow);
  regauth_agent_free(agent);
  return t_end("abi");
}
