internal import Catalog
internal import Events
internal import Symbols

/// Which of its forms a call has: one of its arguments says it, and sometimes a second one.
final class FormChoice {
    /// All forms, each in front of those that the second argument tells apart.
    let forms: [CallCase]
    private let selector: Int
    private let mask: UInt32
    /// Indexes of forms by the masked value.
    private let byValue: [UInt32: Int]
    /// That of all other values.
    private let others: Int?
    /// By the index of a form: how its second argument chooses.
    private let further: [FormChoice?]

    init(_ calls: CallForms) {
        selector = calls.selector
        mask = calls.mask
        let table = SymbolTable.named(calls.table)
        var (forms, further) = ([CallCase](), [FormChoice?]())
        var (byValue, others) = ([UInt32: Int](), Int?.none)
        for form in calls.cases {
            if form.names.isEmpty { others = forms.count }
            for value in calls.values(of: form, named: { table?.value(ofName: $0) }) {
                byValue[value] = forms.count
            }
            let inner = form.further.map { FormChoice($0) }
            forms += [form] + (inner?.forms ?? [])
            further += [inner] + Array(repeating: nil, count: inner?.forms.count ?? 0)
        }
        (self.forms, self.byValue, self.others, self.further) = (forms, byValue, others, further)
    }

    /// The index of the form of a call with these values; nil where it is as its row says.
    func form(of event: EventView) -> Int? {
        let value = UInt32(truncatingIfNeeded: event.value(selector) ?? 0) & mask
        guard let form = byValue[value] ?? others else { return nil }
        guard let inner = further[form]?.form(of: event) else { return form }
        return form + 1 + inner
    }
}
