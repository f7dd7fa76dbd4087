//! Rules broken on purpose. The model is worth something only if it notices each.

/// One rule, broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Mutant {
    /// The authority accepts what is closed: the window is not looked at.
    WindowUnchecked,
    /// The authority does not look at the mac.
    MacUnchecked,
    /// The authority answers, and then stores.
    AnswersBeforeStoring,
    /// A node stores what it decided without looking whether the record has changed since it was loaded.
    StoresBlindly,
    /// The authority takes a late rekey for a late request like any other.
    RekeyAcceptedLate,
    /// The authority retires g when it answers the rekey, not when g+1 is used.
    RetiresAtOnce,
    /// Replaced pending generations are forgotten.
    NoReplacedMemory,
    /// Retired generations are forgotten.
    NoRetiredMemory,
    /// A low number is a clone's, whenever its challenge was issued.
    LateIsClone,
    /// A proof under a retired generation is a clone's, whenever its challenge was issued.
    RetiredIsClone,
    /// The clocks of the nodes are taken to be equal.
    NoSkew,
    /// Trees are moved by a clock that may be wrong.
    ErasesInDoubt,
    /// What a clock that ran ahead has left in a ledger is believed.
    AheadBelieved,
    /// What a clock that ran ahead has left in a ledger is read as now.
    AheadIsNow,
    /// Challenges of an earlier era are good.
    OldChallenges,
    /// A readmission does not begin the numbers again.
    NumbersGoOn,
    /// A confirmed enrollment is replaced by another request.
    ConfirmedReplaced,
    /// The device sends, and then stores the reserved numbers.
    UsesBeforeStoring,
    /// The device erases g, and then stores g+1.
    ErasesBeforeStoring,
    /// The device believes the reply to any rekey it sent.
    BelievesEarlierRekey,
    /// The device answers any challenge that it got.
    ManyQuestions,
    /// The device does not heed the epoch that `epoch-spent` names.
    HintIgnored,
    /// The device takes no lead when it is refused as `epoch-spent` again and again.
    NoLead,
    /// The device does not forget what refusals said when one says `epoch-ahead`.
    AheadIgnored,
    /// The device confirms its enrollment, and then stores it.
    ConfirmsBeforeStoring,
}
